"""Keeps a stream open on which a server says that its lists changed."""

import logging
import time
from collections.abc import Callable
from typing import Any, Literal

from automate_llm.cancellation import Cancellation
from automate_llm.exceptions import (
    CallCancelled,
    MCPClientError,
    RPCError,
    UnexpectedStatus,
)
from automate_llm.exchange import Exchange

from .base import Transport
from .jsonrpc import METHOD_NOT_FOUND

Kind = Literal["tools", "prompts", "resources"]
OnChange = Callable[[Kind], object]

STREAM_SECONDS = 3600.0
"""How long one stream is read before it is opened anew."""
FIRST_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 300.0
STEADY_SECONDS = 60.0
"""A stream that lived so long starts the pauses from the first one again."""
_KINDS: dict[str, Kind] = {
    "notifications/tools/list_changed": "tools",
    "notifications/prompts/list_changed": "prompts",
    "notifications/resources/list_changed": "resources",
}
_REFUSALS = (400, 401, 403, 404, 405, 406, 501)

logger = logging.getLogger(__name__)


def listen(
    slug: str,
    transport: Callable[[], Transport],
    on_change: OnChange,
    cancellation: Cancellation,
) -> None:
    """Call `on_change` for each word of a change, until `cancellation`.

    Each stream has a transport of its own, so that a server that changed is found out anew.

    A stream that ends is opened again, after pauses of 1, 2, 4, … 300 s. Since a change may have
    been missed meanwhile, `on_change` is then called for the tools.

    Raises:
        MCPClientError: the server refuses to be listened to.
    """
    pause = FIRST_PAUSE_SECONDS
    listener = _Listener(transport, on_change)
    while True:
        began = time.monotonic()
        try:
            listener.read_stream(cancellation)
        except CallCancelled:
            return
        except MCPClientError as exc:
            if _refuses(exc):
                raise
            logger.info("Listening to %s: %s", slug, exc)
        if time.monotonic() - began >= STEADY_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        try:
            Exchange(pause + 1, cancellation).pause(pause)
        except CallCancelled:
            return
        pause = min(2 * pause, MAX_PAUSE_SECONDS)


class _Listener:
    """Reads one stream after another."""

    def __init__(self, transport: Callable[[], Transport], on_change: OnChange) -> None:
        self._transport = transport
        self._on_change = on_change
        self._heard_before = False

    def read_stream(self, cancellation: Cancellation) -> None:
        """Read one stream to its end."""
        exchange = Exchange(STREAM_SECONDS, cancellation)
        exchange.remaining()
        self._transport().listen(exchange, self._notified, self._opened)

    def _opened(self) -> None:
        if self._heard_before:
            self._on_change("tools")
        self._heard_before = True

    def _notified(self, method: str, params: dict[str, Any]) -> None:
        if (kind := _KINDS.get(method)) is not None:
            self._on_change(kind)


def _refuses(error: MCPClientError) -> bool:
    """Whether the server would answer the same next time."""
    if isinstance(error, RPCError):
        return error.code == METHOD_NOT_FOUND
    return isinstance(error, UnexpectedStatus) and error.status_code in _REFUSALS
