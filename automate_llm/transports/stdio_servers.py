"""The commands that run as MCP servers for this process: one each, shared by all its threads."""

import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil

from automate_llm.exceptions import ConnectionFailed, DeadlineExceeded, MCPClientError
from automate_llm.exchange import Exchange
from automate_llm.processes import End, Process
from automate_llm.redaction import redacted
from automate_llm.values import StdioCommand

from .stdio_opening import Opened, opened

MAX_PAUSE_SECONDS = 60.0
STEADY_SECONDS = 120.0

_NOT_STARTED = "Connection error: the server's command could not be started. See the site's log."

logger = logging.getLogger(__name__)


class BackOff:
    """How long a command that ended rests: nothing the first time, then 1, 2, 4, … 60 s.

    It begins anew when two minutes lie between two starts.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._restarts = -1
        self._started = clock()

    def start(self) -> None:
        """The command is started."""
        now = self._clock()
        self._restarts = self._restarts + 1 if now - self._started < STEADY_SECONDS else 0
        self._started = now

    def pause(self) -> float:
        """Seconds until it may be started again."""
        if self._restarts < 1:
            return 0.0
        pause = min(2.0 ** (self._restarts - 1), MAX_PAUSE_SECONDS)
        return max(0.0, self._started + pause - self._clock())


@dataclass(slots=True, eq=False)
class _Server:
    """One command and its latest start."""

    name: str
    command: StdioCommand
    back_off: BackOff = field(default_factory=BackOff)
    opening: "Future[Opened | End] | None" = None

    @property
    def usable(self) -> bool:
        """Whether it is starting or running."""
        if self.opening is None or not self.opening.done():
            return self.opening is not None
        result = self.opening.result()
        return isinstance(result, Opened) and result.channel.end is None

    def start(self, known_version: str) -> None:
        """Start it, in a thread of its own, so that no caller's deadline ends a slow start.

        Raises:
            ConnectionFailed: it ended too often, and rests.
        """
        if pause := self.back_off.pause():
            raise ConnectionFailed(
                "Connection error: the server's command ended again and again; it is started again "
                f"in {ceil(pause)} s. The site's log has what it wrote to standard error."
            )
        self.back_off.start()
        opening: Future[Opened | End] = Future()
        work, name = self._open, f"automate opens {self.name}"
        threading.Thread(target=work, args=(opening, known_version), name=name, daemon=True).start()
        self.opening = opening

    def retire(self) -> None:
        """Its settings changed: it ends when the calls that are under way are through."""
        if self.opening is not None:
            self.opening.add_done_callback(_retire)

    def _open(self, opening: "Future[Opened | End]", known_version: str) -> None:
        try:
            opening.set_result(opened(self.command, known_version, self._ended))
        except MCPClientError as exc:
            opening.set_result(End(type(exc), str(exc)))
        finally:
            if not opening.done():  # a failure of our own; whoever waits must not wait for ever
                opening.set_result(End(ConnectionFailed, _NOT_STARTED))

    def _ended(self, process: Process) -> None:
        if process.end is not None and not process.closing:
            logger.warning(
                "%s: %s Its standard error ends with:\n%s",
                self.name,
                process.end.text,
                redacted(process.stderr, self.command.secrets) or "(nothing)",
            )


@dataclass(slots=True)
class _Shared:
    lock: threading.Lock
    servers: dict[str, _Server]


_shared = _Shared(threading.Lock(), {})


def ready(name: str, command: StdioCommand, known_version: str, exchange: Exchange) -> Opened:
    """The running server of this name, started where it does not run.

    A start tries the known version first; without one it finds out.

    Raises:
        ConnectionFailed: it cannot be started, ended at once, or rests after it ended too often.
        ProtocolError: it is no MCP server.
        DeadlineExceeded: it is not ready yet.
    """
    with _shared.lock:
        server = _shared.servers.get(name)
        if server is not None and server.command != command:
            server.retire()
            server = None
        if server is None:
            server = _shared.servers[name] = _Server(name, command)
        if not server.usable:
            server.start(known_version)
        opening = server.opening
    assert opening is not None  # noqa: S101 (a usable server has one)
    result = opening.result() if opening.done() else _awaited(opening, exchange)
    if isinstance(result, End):
        raise result.error()
    return result


def _awaited(opening: "Future[Opened | End]", exchange: Exchange) -> Opened | End:
    arrived: queue.SimpleQueue[Opened | End | None] = queue.SimpleQueue()
    opening.add_done_callback(lambda done: arrived.put(done.result()))
    forget = exchange.on_cancel(lambda: arrived.put(None))
    try:
        result = arrived.get(timeout=exchange.remaining())
    except queue.Empty:
        result = None
    finally:
        forget()
    if result is not None:
        return result
    with suppress(DeadlineExceeded):
        exchange.remaining()  # tells a stop from a time-out
    raise DeadlineExceeded(
        f"The server's command was not ready within {exchange.seconds:g} s. It goes on starting; "
        "try again soon."
    )


def _retire(opening: "Future[Opened | End]") -> None:
    result = opening.result()
    if isinstance(result, Opened):
        result.channel.retire()


def _after_fork() -> None:
    # They belong to the parent; the child starts its own.
    _shared.lock = threading.Lock()
    _shared.servers = {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
