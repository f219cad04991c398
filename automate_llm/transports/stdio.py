"""MCP over the standard streams of a command that the site's settings name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from automate_llm.exceptions import MCPClientError
from automate_llm.exchange import Exchange, running_no_tool
from automate_llm.values import Connection, ToolResult

from . import jsonrpc
from .base import Asking, Listing, ToolCall
from .protocol import (
    MODERN_VERSIONS,
    listing_of,
    notice_change,
    noting_subscription,
    progress_to,
    subscription_params,
    with_meta,
)
from .stdio_opening import Opened
from .stdio_servers import ready
from .tool_calls import call_params, continued, outcome


class StdioTransport:
    """One server that runs as a child process, shared by all threads and all people.

    Raises:
        MCPClientError: the connection has no command; a row alone can name none.
    """

    def __init__(self, connection: Connection) -> None:
        if connection.command is None:
            raise MCPClientError("The settings have no command for this server.")
        self._connection = connection
        self._name = connection.endpoint_url
        self._command = connection.command
        self._known_version = connection.protocol_version

    @running_no_tool()
    def list_tools(self, exchange: Exchange) -> Listing:
        """Every page of `tools/list`, in the version that the command's start settled."""
        # A start that a list asks for finds the version anew: the server may have been changed.
        server = ready(self._name, self._command, "", exchange)

        def page(params: dict[str, Any]) -> dict[str, Any]:
            params = _in_version(params, server)
            return server.channel.request(exchange, "tools/list", params).unwrap()

        return listing_of(server.about, page, "mcp", server.version)

    def call_tool(self, exchange: Exchange, call: ToolCall) -> ToolResult:
        """`tools/call`, sent once, to a server that is started where it does not run."""
        with running_no_tool():
            server = ready(self._name, self._command, self._known_version, exchange)
        notice_change(self._connection, server.version)

        def ask(exchange: Exchange, method: str, params: dict[str, Any]) -> jsonrpc.Response:
            params = _in_version(params, server, asks=call.asks)
            return server.channel.request(exchange, method, params)

        if call.task_id:
            return continued(call, server.version, ask, exchange)
        token = jsonrpc.next_id()
        response = server.channel.request(
            exchange,
            "tools/call",
            _in_version(call_params(call, server.version, token), server, asks=call.asks),
            request_id=token,
            on_notification=progress_to(call.on_progress, token) if call.on_progress else None,
        )
        return outcome(response, call, server.version, ask, exchange)

    @contextmanager
    def asking(self, exchange: Exchange) -> Iterator[Asking]:
        """Requests of the running command."""
        with running_no_tool():
            server = ready(self._name, self._command, self._known_version, exchange)

            def ask(method: str, params: dict[str, Any]) -> dict[str, Any]:
                params = _in_version(params, server)
                return server.channel.request(exchange, method, params).unwrap()

            yield Asking(lambda: server.about, ask)

    @running_no_tool()
    def listen(
        self,
        exchange: Exchange,
        on_notification: jsonrpc.OnNotification,
        on_open: Callable[[], object],
    ) -> None:
        """Hand over what the command says unasked, until it ends."""
        server = ready(self._name, self._command, self._known_version, exchange)
        if server.version in MODERN_VERSIONS:
            wanted = _in_version(subscription_params(), server)
            noting = noting_subscription(on_notification, on_open)
            server.channel.listen(exchange, noting, wanted)
        else:
            on_open()
            server.channel.listen(exchange, on_notification)


def _in_version(params: dict[str, Any], server: Opened, *, asks: bool = False) -> dict[str, Any]:
    if server.version not in MODERN_VERSIONS:
        return params
    return with_meta(params, server.version, asks=asks)
