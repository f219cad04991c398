"""Child processes: commands without a shell, each the head of a group that ends with it.

Nothing here knows a protocol: lines go in and come out.
"""

import atexit
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .exceptions import ConnectionFailed, LimitExceeded, MCPClientError
from .process_guard import guard
from .text import clean_text
from .values import StdioCommand

MAX_LINE_BYTES = 4 * 1024 * 1024
MAX_STDERR_BYTES = 8 * 1024
END_SECONDS = 1.0
"""How long a process has to end by itself once its input is closed, and then once it is told to."""

_CHUNK_BYTES = 64 * 1024
# What a command gets of our own environment. The last three are what Windows cannot do without.
_INHERITED = ("PATH", "HOME", "LANG", "SYSTEMROOT", "PATHEXT", "COMSPEC")


@dataclass(frozen=True, slots=True)
class End:
    """Why a process is of no more use."""

    kind: type[MCPClientError]
    text: str

    def error(self, *, may_have_run: bool = False) -> MCPClientError:
        """A fresh error that says so: each waiting thread raises its own."""
        return self.kind(self.text, may_have_run=may_have_run)


@dataclass(slots=True, eq=False)
class Line:
    """A line on its way to a process; `left` is true once the process may have read it."""

    data: bytes
    left: bool = False


class Process:
    """A command that runs from the moment this is made, with whatever it starts in its group.

    `end` says why it is of no more use, `closing` that it was asked to end. Thread-safe, and
    nobody waits in here: what is sent goes into a queue.

    Raises:
        ConnectionFailed: the command cannot be started.
    """

    def __init__(self, command: StdioCommand) -> None:
        self.end: End | None = None
        self.closing = False
        self._queue: deque[Line] = deque()
        self._turn = threading.Condition()
        self._reaped = False
        self._exited = threading.Event()
        self._stderr = b""
        self._ended = threading.Event()
        self._popen = _started(command)
        guard.began(self.pid)
        with _shared.lock:
            _shared.running.add(self)

    def serve(self, on_line: Callable[[bytes], object], on_end: Callable[[], object]) -> None:
        """Hand over each line of its standard output, and say once when it has ended.

        Both are called in threads of the process's own.
        """
        try:
            reading = (
                self._thread("reads", self._read, on_line),
                self._thread("reads stderr of", self._read_errors),
            )
            self._thread("writes to", self._write)
            self._thread("watches", self._watch, reading, on_end)
        except RuntimeError:  # there can be no more threads
            self.signal(_KILL)
            raise

    @property
    def pid(self) -> int:
        """The process's number, which is its group's too."""
        return self._popen.pid

    @property
    def backlog(self) -> int:
        """Lines that have not left yet."""
        return len(self._queue)

    @property
    def stderr(self) -> str:
        """The last 8 KB of its standard error, for an operator's log and no one else."""
        return clean_text(self._stderr.decode(errors="replace"), MAX_STDERR_BYTES)

    def send(self, data: bytes) -> Line:
        """Put a line, its end included, behind those that wait."""
        line = Line(data)
        with self._turn:
            self._queue.append(line)
            self._turn.notify()
        return line

    def withdraw(self, line: Line) -> bool:
        """Take a line back; false where the process may have read it."""
        with self._turn:
            with suppress(ValueError):
                self._queue.remove(line)
            return not line.left

    def close(self) -> None:
        """Close its input once what was sent has left, which asks it to end."""
        with self._turn:
            self.closing = True
            self._turn.notify()

    def fail(self, end: End) -> None:
        """End it at once, with its children, for this reason; the first reason is kept."""
        with self._turn:
            self.end = self.end or end
        self.signal(_KILL)

    def signal(self, number: int) -> None:
        """Send a signal to it and to everything in its group."""
        with self._turn:
            if not self._reaped:
                self._signal(number)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, after so many seconds at most."""
        return self._ended.wait(seconds)

    def forget(self) -> None:
        """In a forked child: it is the parent's process, and its pipes must close with the parent.

        Neither locks nor threads are touched: they may have been in use when the fork came.
        """
        for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if pipe is not None:
                pipe.close()
        self._reaped = True
        self._popen.returncode = 0

    def _thread(self, does: str, work: Callable[..., object], *parts: Any) -> threading.Thread:
        name = f"automate {does} process {self.pid}"
        thread = threading.Thread(target=work, args=parts, name=name, daemon=True)
        thread.start()
        return thread

    def _read(self, on_line: Callable[[bytes], object]) -> None:
        pipe = self._popen.stdout
        pieces: list[bytes] = []
        size = 0
        assert pipe is not None  # noqa: S101 (it was asked for)
        with pipe:
            while chunk := os.read(pipe.fileno(), _CHUNK_BYTES):
                *lines, rest = chunk.split(b"\n")
                for line in lines:
                    if self.end is not None:
                        return
                    on_line(b"".join([*pieces, line]))
                    pieces, size = [], 0
                pieces.append(rest)
                size += len(rest)
                if size > MAX_LINE_BYTES:
                    self.fail(End(LimitExceeded, "The server's command printed a line over 4 MB."))
                    return
        if not self._exited.wait(END_SECONDS):
            self.fail(_closed("output"))

    def _read_errors(self) -> None:
        pipe = self._popen.stderr
        assert pipe is not None  # noqa: S101 (it was asked for)
        with pipe:
            while chunk := os.read(pipe.fileno(), _CHUNK_BYTES):
                self._stderr = (self._stderr + chunk)[-MAX_STDERR_BYTES:]

    def _write(self) -> None:
        pipe = self._popen.stdin
        assert pipe is not None  # noqa: S101 (it was asked for)
        with pipe:
            while True:
                with self._turn:
                    self._turn.wait_for(lambda: self._queue or self.closing or self._reaped)
                    if self._reaped or not self._queue:
                        return
                    line = self._queue.popleft()
                    line.left = True
                try:
                    _write_all(pipe.fileno(), line.data)
                except OSError:
                    # Its end never arrived, so that it is no message to anyone.
                    line.left = False
                    if not self._exited.wait(END_SECONDS):
                        self.fail(_closed("input"))
                    return

    def _watch(self, reading: Iterable[threading.Thread], on_end: Callable[[], object]) -> None:
        status = self._reap()
        for thread in reading:  # the last words, unless one that left the group holds the pipe
            thread.join(END_SECONDS)
        with self._turn:
            text = f"Connection error: the server's command ended ({_status(status)})."
            self.end = self.end or End(ConnectionFailed, text)
        with _shared.lock:
            _shared.running.discard(self)
        on_end()
        with self._turn:
            self._turn.notify()  # whoever writes
        self._ended.set()

    def _reap(self) -> int:
        """Wait for it to exit, kill what is left of its group, and return its status.

        Only then is its number given back, so that no signal can reach a stranger.
        """
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._popen.wait()
        with self._turn:
            self._signal(_KILL)
            self._reaped = True
            guard.ended(self.pid)
            self._exited.set()
            return self._popen.wait()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self.pid, number)
            else:
                self._popen.kill()


_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def end_processes(processes: Iterable[Process]) -> None:
    """End them together: input closed, then SIGTERM, then SIGKILL. They are gone afterwards.

    Source: MCP 2026-07-28, basic/transports/stdio, "Shutdown".
    """
    left = list(processes)
    for process in left:
        process.close()
    for number in (signal.SIGTERM, _KILL):
        left = _still_there(left)
        for process in left:
            process.signal(number)
    _still_there(left)


def _still_there(processes: list[Process]) -> list[Process]:
    end = time.monotonic() + END_SECONDS
    return [each for each in processes if not each.wait(max(0.0, end - time.monotonic()))]


@dataclass(slots=True)
class _Shared:
    lock: threading.Lock
    running: set[Process]


_shared = _Shared(threading.Lock(), set())


@atexit.register
def end_all_processes() -> None:
    """End every process that this one started."""
    with _shared.lock:
        running = list(_shared.running)
    end_processes(running)


def _after_fork() -> None:
    guard.forget()
    for process in _shared.running:
        process.forget()
    _shared.lock = threading.Lock()
    _shared.running = set()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _started(command: StdioCommand) -> "subprocess.Popen[bytes]":
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    try:
        # Unbuffered, so that no lock of a buffer can be held in a forked child.
        return subprocess.Popen(  # noqa: S603 (no shell; the command is the site's own setting)
            command.arguments,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**inherited, **command.env},
            cwd=command.cwd or None,
            start_new_session=True,
        )
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else type(exc).__name__
        raise ConnectionFailed(
            f"Connection error: the server's command cannot be started ({reason}). Check its entry "
            "in the settings."
        ) from None


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _closed(stream: str) -> End:
    text = f"Connection error: the server's command closed its standard {stream}."
    return End(ConnectionFailed, text)


def _status(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
