"""Sessions that servers of the handshake versions opened for us, in this process."""

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automate_llm.values import Connection

_MAX_SESSIONS = 1_000


@dataclass(frozen=True, slots=True)
class Session:
    """What `initialize` settled. `id` is empty where the server keeps no sessions.

    `asks` says that the server was told that somebody answers its questions.
    """

    id: str
    version: str
    about: Mapping[str, Any]
    asks: bool = False

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

    def forget(self, connection: Connection, *, asks: bool = False) -> None:
        """The server does not know it any more."""
        with self._lock:
            self._open.pop(_key(connection, asks), None)

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
