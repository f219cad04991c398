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

from .side_streams import SideStream

_MAX_SESSIONS = 1_000


@dataclass(frozen=True, slots=True)
class Session:
    """What `initialize` settled. `id` is empty where the server keeps no sessions.

    `asks` says that the server was told that somebody answers its questions; some come on the
    `side_stream`.
    """

    id: str
    version: str
    about: Mapping[str, Any]
    asks: bool = False
    side_stream: SideStream = field(default_factory=SideStream, compare=False)

    @property
    def headers(self) -> dict[str, str]:
        """What every later request carries (2025-11-25, basic/transports)."""
        headers = {"MCP-Protocol-Version": self.version}
        if self.id:
            headers["Mcp-Session-Id"] = self.id
        return headers


class Sessions:
    """The open sessions. Thread-safe; one is shared by no two servers, credentials or people."""

    def __init__(self) -> None:
        self.forget_all()

    def forget_all(self) -> None:
        """Start anew: a child process must not count request ids in its parent's sessions."""
        self._lock = threading.Lock()
        self._opening: dict[tuple[object, ...], Future[None]] = {}
        self._open: OrderedDict[tuple[object, ...], tuple[Connection, Session]] = OrderedDict()

    def of(self, connection: Connection, *, asks: bool = False) -> Session | None:
        """The session for these calls, if one is open."""
        with self._lock:
            kept = self._open.get(_key(connection, asks))
        return kept[1] if kept is not None else None

    def keep(self, connection: Connection, session: Session) -> None:
        """Use this session for later calls."""
        with self._lock:
            self._open[_key(connection, session.asks)] = connection, session
            if len(self._open) > _MAX_SESSIONS:
                self._open.popitem(last=False)

    def forget(self, connection: Connection, session: Session) -> None:
        """The server does not know it any more; one that was opened since then stays."""
        key = _key(connection, session.asks)
        with self._lock:
            kept = self._open.get(key)
            if kept is not None and kept[1] is session:
                del self._open[key]

    def opened(
        self,
        connection: Connection,
        exchange: Exchange,
        opener: Callable[[], Session],
        *,
        asks: bool,
    ) -> Session:
        """The session that is open, or else a new one: whoever comes first opens it.

        The others wait with no lock held; where it came to nothing, each opens one for itself.
        """
        key = _key(connection, asks)
        with self._lock:
            kept = self._open.get(key)
            if kept is not None:
                return kept[1]
            opening = self._opening.get(key)
            if opening is None:
                ours = self._opening[key] = Future()
        if opening is not None:
            exchange.wait_for(opening)
            return self.of(connection, asks=asks) or opener()
        try:
            return opener()
        finally:
            with self._lock:
                self._opening.pop(key, None)
            ours.set_result(None)

    def take(self, connection: Connection | None = None) -> list[tuple[Connection, Session]]:
        """The sessions of this connection, or all of them, which nobody uses from now on."""
        with self._lock:
            if connection is None:
                taken = list(self._open.values())
                self._open.clear()
                return taken
            keys = [_key(connection, asks) for asks in (False, True)]
            return [self._open.pop(key) for key in keys if key in self._open]


sessions = Sessions()
os.register_at_fork(after_in_child=sessions.forget_all)


def _key(connection: Connection, asks: bool) -> tuple[object, ...]:
    credential = tuple(sorted(connection.headers.items()))
    account = connection.authenticator.account if connection.authenticator is not None else None
    return (
        connection.slug,
        connection.endpoint_url,
        connection.principal,
        account,
        hash(credential),
        asks,
    )
