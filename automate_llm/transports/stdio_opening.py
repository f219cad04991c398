"""A command's start: which protocol version it speaks, and what it says of itself.

Source: MCP 2026-07-28, basic/transports/stdio, "Backward Compatibility".
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from automate_llm.exceptions import (
    ConnectionFailed,
    DeadlineExceeded,
    MCPClientError,
    ProtocolError,
    RPCError,
)
from automate_llm.exchange import Exchange
from automate_llm.processes import End, Process
from automate_llm.values import StdioCommand

from .protocol import (
    HANDSHAKE_VERSIONS,
    MODERN_VERSIONS,
    agreed_version,
    initialize_params,
    mapping,
    supported_version,
    with_meta,
)
from .stdio_channel import Channel

OPENING_SECONDS = 60.0
"""How long a start may take: some commands fetch a package first. No call waits longer than its
own deadline; the next one then finds the server ready."""
PROBE_SECONDS = 5.0
"""How long a server may be silent before it is taken for one that needs a handshake."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A server that is ready for requests, all of them in this version."""

    channel: Channel
    version: str
    about: Mapping[str, Any]


def opened(
    command: StdioCommand, known_version: str, on_end: Callable[[Process], object]
) -> Opened:
    """Start the command and settle the version; one that a sync stored is tried first.

    `on_end` is called when the process has ended, whenever that is.

    Raises:
        MCPClientError: it cannot be started, or does not speak the protocol; it is then ended.
    """
    channel = Channel(command, on_end)
    exchange = Exchange(OPENING_SECONDS)
    try:
        if known_version in HANDSHAKE_VERSIONS:
            with suppress(RPCError):
                return _initialized(channel, exchange)
        try:
            return _probed(channel, exchange)
        except ConnectionFailed:
            if channel.process.closing:
                raise
            # Some older servers, the Python SDK's among them, end at a request they do not know.
            channel = Channel(command, on_end)
            return _initialized(channel, exchange)
    except MCPClientError as exc:
        channel.process.fail(End(ProtocolError, "The server's command did not open a session."))
        if isinstance(exc, RPCError):
            raise ProtocolError(f"The server's command refused the handshake. {exc}") from None
        raise


def _probed(channel: Channel, exchange: Exchange) -> Opened:
    version = MODERN_VERSIONS[0]
    with channel.asking(exchange, "server/discover", with_meta({}, version)) as probe:
        try:
            with exchange.within(PROBE_SECONDS):
                response = channel.answer(exchange, probe)
        except DeadlineExceeded:
            try:
                return _initialized(channel, exchange)
            except RPCError:
                # A modern server that was slow to start: the probe's answer came meanwhile.
                with exchange.within(PROBE_SECONDS):
                    response = channel.answer(exchange, probe)
    settled = supported_version(response)
    if settled is None or settled in HANDSHAKE_VERSIONS:
        return _initialized(channel, exchange)
    channel.declines = False
    return Opened(channel, settled, mapping(response.result))


def _initialized(channel: Channel, exchange: Exchange) -> Opened:
    """Shake hands (2025-11-25, basic/lifecycle).

    Raises:
        RPCError: the server refused.
    """
    channel.declines = True
    with channel.asking(exchange, "initialize", initialize_params()) as pending:
        about = channel.answer(exchange, pending).unwrap()
    version = agreed_version(about)
    channel.notify("notifications/initialized", {})
    return Opened(channel, version, about)
