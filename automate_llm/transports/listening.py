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
from automate_llm.values import Connection

from .jsonrpc import METHOD_NOT_FOUND
from .streamable_http import StreamableHTTPTransport

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


def listen(connection: Connection, on_change: OnChange, cancellation: Cancellation) -> None:
    """Call `on_change` for each word of a change, until `cancellation`.

    A stream that ends is opened again, after pauses of 1, 2, 4, … 300 s. Since a change may have
    been missed meanwhile, `on_change` is then called for the tools.

    Raises:
        MCPClientError: the server refuses to be listened to.
    """
    pause = FIRST_PAUSE_SECONDS
    heard_before = False
    while not cancellation.cancelled:
        began = time.monotonic()
        try:
            heard_before |= _one_stream(connection, on_change, cancellation, missed=heard_before)
        except CallCancelled:
            return
        except (RPCError, UnexpectedStatus) as exc:
            if _refuses(exc):
                raise
            logger.info("Listening to %s: %s", connection.slug, exc)
        except MCPClientError as exc:
            logger.info("Listening to %s: %s", connection.slug, exc)
        if time.monotonic() - began >= STEADY_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        try:
            Exchange(pause + 1, cancellation).pause(pause)
        except CallCancelled:
            return
        pause = min(2 * pause, MAX_PAUSE_SECONDS)


def _one_stream(
    connection: Connection, on_change: OnChange, cancellation: Cancellation, *, missed: bool
) -> bool:
    """Read one stream to its end; says whether it was ever open."""
    opened = False

    def on_open() -> None:
        nonlocal opened
        opened = True
        if missed:
            on_change("tools")

    def on_notification(method: str, params: dict[str, Any]) -> None:
        if (kind := _KINDS.get(method)) is not None:
            on_change(kind)

    exchange = Exchange(STREAM_SECONDS, cancellation)
    StreamableHTTPTransport(connection).listen(exchange, on_notification, on_open)
    return opened


def _refuses(error: RPCError | UnexpectedStatus) -> bool:
    """Whether the server would answer the same next time."""
    if isinstance(error, RPCError):
        return error.code == METHOD_NOT_FOUND
    return error.status_code in _REFUSALS
