"""MCP over the standard streams of a command that the site's settings name."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from automate_llm.exceptions import MCPClientError
from automate_llm.exchange import Exchange, running_no_tool
from automate_llm.values import Connection, ToolResult

from . import jsonrpc
from .base import Asking, Listing, OnProgress
from .protocol import (
    MODERN_VERSIONS,
    every_page,
    listing_of,
    progress_to,
    tool_result,
    with_meta,
    with_progress_token,
)
from .stdio_opening import Opened
from .stdio_servers import ready


class StdioTransport:
    """One server that runs as a child process, shared by all threads and all people.

    Raises:
        MCPClientError: the connection has no command; a row alone can name none.
    """

    def __init__(self, connection: Connection) -> None:
        if connection.command is None:
            raise MCPClientError("The settings have no command for this server.")
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

        return listing_of(server.about, every_page(page), "mcp", server.version)

    def call_tool(
        self,
        exchange: Exchange,
        name: str,
        arguments: dict[str, Any],
        on_progress: OnProgress | None,
    ) -> ToolResult:
        """`tools/call`, sent once, to a server that is started where it does not run."""
        with running_no_tool():
            server = ready(self._name, self._command, self._known_version, exchange)
        token = jsonrpc.next_id()
        params = with_progress_token({"name": name, "arguments": arguments}, token)
        response = server.channel.request(
            exchange,
            "tools/call",
            _in_version(params, server),
            request_id=token,
            on_notification=progress_to(on_progress, token) if on_progress else None,
        )
        return tool_result(response.unwrap())

    @contextmanager
    def asking(self, exchange: Exchange) -> Iterator[Asking]:
        """Requests of the running command."""
        with running_no_tool():
            server = ready(self._name, self._command, self._known_version, exchange)

            def ask(method: str, params: dict[str, Any]) -> dict[str, Any]:
                params = _in_version(params, server)
                return server.channel.request(exchange, method, params).unwrap()

            yield Asking(lambda: server.about, ask)


def _in_version(params: dict[str, Any], server: Opened) -> dict[str, Any]:
    return with_meta(params, server.version) if server.version in MODERN_VERSIONS else params
