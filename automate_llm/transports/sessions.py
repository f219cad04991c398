"""Sessions that servers of the handshake versions opened for us, in this process."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from automate_llm.exchange import Exchange
from automate_llm.values import Connection

_MAX_SESSIONS = 1_000


@dataclass(frozen=True, slots=True)
class Session:
    """What `initialize` settled. `id` is empty where the server keeps no sessions.

    `asks` says that the server was told that somebody answers its questions, and `lacks_stream`
    is set where it has turned out to offer no stream but those of its answers.
    """

    id: str
    version: str
    about: Mapping[str, Any]
    asks: bool = False
    lacks_stream: threading.Event = field(default_factory=threading.Event, compare=False)

    @property
    def headers(self) -> dict[str, str]:
        """What every later request carries (2025-11-25, basic/transports)."""
        headers = {"MCP-Protocol-Version": self.version}
        if self.id:
            headers["Mcp-Session-Id"] = self.id
        return headers


class Sessions:
    """The open sessions. Thread-safe; one is shared by no two servers, credentials or people.

    One in which the server may ask is lent to one call at a time: a question on its stream does
    not say which call it is for.
    """

    def __init__(self) -> None:
        self.forget_all()

    def forget_all(self) -> None:
        """Start anew: a child process must not count request ids in its parent's sessions."""
        self._lock = threading.Lock()
        self._opening: dict[tuple[object, ...], Future[None]] = {}
        self._open: OrderedDict[tuple[object, ...], tuple[Connection, Session]] = OrderedDict()
        self._idle: list[tuple[tuple[object, ...], Connection, Session]] = []
        self._lent: dict[int, Session] = {}

    def of(self, connection: Connection) -> Session | None:
        """The session for calls without questions, if one is open."""
        with self._lock:
            kept = self._open.get(_key(connection))
        return kept[1] if kept is not None else None

    def keep(self, connection: Connection, session: Session) -> None:
        """Use this session for later calls."""
        with self._lock:
            self._open[_key(connection)] = connection, session
            if len(self._open) > _MAX_SESSIONS:
                self._open.popitem(last=False)

    def lent(self, connection: Connection, opener: Callable[[], Session]) -> Session:
        """A session for one call whose server may ask: an idle one, or else a new one."""
        key = _key(connection)
        with self._lock:
            places = (at for at, each in enumerate(self._idle) if each[0] == key)
            at = max(places, default=None)
            session = None if at is None else self._idle.pop(at)[2]
        session = session or opener()
        with self._lock:
            self._lent[id(session)] = session
        return session

    def give_back(self, connection: Connection, session: Session) -> None:
        """The call is over: a session that was lent to it alone, and not forgotten, is idle."""
        with self._lock:
            if self._lent.pop(id(session), None) is not None:
                self._idle.append((_key(connection), connection, session))
                del self._idle[:-_MAX_SESSIONS]

    def forget(self, connection: Connection, session: Session) -> None:
        """The server does not know it any more; one that was opened since then stays."""
        key = _key(connection)
        with self._lock:
            self._lent.pop(id(session), None)
            kept = self._open.get(key)
            if kept is not None and kept[1] is session:
                del self._open[key]

    def opened(
        self,
        connection: Connection,
        exchange: Exchange,
        opener: Callable[[], Session],
    ) -> Session:
        """The session that is open, or else a new one: whoever comes first opens it.

        The others wait with no lock held; where it came to nothing, each opens one for itself.
        """
        key = _key(connection)
        with self._lock:
            kept = self._open.get(key)
            if kept is not None:
                return kept[1]
            opening = self._opening.get(key)
            if opening is None:
                ours = self._opening[key] = Future()
        if opening is not None:
            exchange.wait_for(opening)
            return self.of(connection) or opener()
        try:
            return opener()
        finally:
            with self._lock:
                self._opening.pop(key, None)
            ours.set_result(None)

    def take(self, connection: Connection | None = None) -> list[tuple[Connection, Session]]:
        """The sessions of this connection, or all of them, which nobody uses from now on."""
        with self._lock:
            idle, self._idle = self._idle, []
            if connection is None:
                taken = list(self._open.values())
                self._open.clear()
                return taken + [(owner, session) for _own, owner, session in idle]
            key = _key(connection)
            self._idle = [each for each in idle if each[0] != key]
            taken = [(owner, session) for own, owner, session in idle if own == key]
            return [self._open.pop(key), *taken] if key in self._open else taken


sessions = Sessions()
os.register_at_fork(after_in_child=sessions.forget_all)


def _key(connection: Connection) -> tuple[object, ...]:
    credential = tuple(sorted(connection.headers.items()))
    account = connection.authenticator.account if connection.authenticator is not None else None
    return (
        connection.slug,
        connection.endpoint_url,
        connection.principal,
        account,
        hash(credential),
    )
