"""The client for MCP servers: one object, two things to do, every failure one kind of error."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from .breaker import breaker_of
from .cancellation import Cancellation
from .exceptions import CallCancelled, MCPClientError, ProtocolError, ToolFailed, UnexpectedStatus
from .exchange import Exchange
from .strict_json import cleaned
from .tool_lists import discovery_of
from .transports.base import Listing, OnProgress, Transport
from .transports.rest import RestTransport
from .transports.streamable_http import StreamableHTTPTransport
from .values import Connectable, Connection, Discovery, ToolResult

__all__ = ["MCPClient", "MCPClientError"]

_ERROR_CHARACTERS = 500


class MCPClient:
    """Speaks to one MCP server, synchronously.

    `server` is a `Connection` or anything with a `connection()` method, such as an `MCPServer`
    row; it is asked anew for each call, so a changed secret takes effect at once. The object
    holds no connection and no state of a call: it may be shared between threads or made anew.
    """

    def __init__(self, server: Connectable, *, principal: str = "") -> None:
        self._server = server
        self._principal = principal

    def discover_tools(self) -> list[dict[str, Any]]:
        """Every tool as a dict: `name`, `description`, `input_schema`, and `title`,
        `output_schema`, `annotations` where the server has them.

        Raises:
            MCPClientError: the list could not be had.
        """
        return [tool.as_dict() for tool in self.discover().tools]

    def execute_tool(self, name: str, arguments: dict[str, Any]) -> Any:
        """Call a tool and give its result as a plain Python value.

        Structured content where there is some, else the text, else the content blocks. The
        arguments go out as they are: `validation.validate_arguments` holds them to the schema.

        Raises:
            MCPClientError: `may_have_run` says whether the tool may have done its work.
        """
        result = self.call(name, arguments)
        if result.is_error:
            raise ToolFailed(f"The tool {name!r} failed: {_plain(result)[:_ERROR_CHARACTERS]}")
        return result.value

    def discover(self, cancellation: Cancellation | None = None) -> Discovery:
        """What the server says of itself and all its tools, cleaned; read-only.

        Raises:
            MCPClientError: the list could not be had.
        """
        connection = self._connection()
        exchange = Exchange(connection.timeout, cancellation)
        listing = _listing(connection, exchange)
        breaker_of(connection.slug, connection.endpoint_url).reset()
        return discovery_of(listing)

    def call(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        cancellation: Cancellation | None = None,
        on_progress: OnProgress | None = None,
    ) -> ToolResult:
        """Call a tool once; a failure that the tool itself reports is a result (`is_error`).

        Raises:
            MCPClientError: `may_have_run` says whether the tool may have done its work.
        """
        connection = self._connection()
        exchange = Exchange(connection.timeout, cancellation)
        with breaker_of(connection.slug, connection.endpoint_url).guarding():
            try:
                transport = _transport(connection, exchange)
                result = transport.call_tool(exchange, name, arguments, on_progress)
            except MCPClientError as exc:
                if cancellation is None or not cancellation.cancelled:
                    raise
                # Whatever else it looked like: we shut the socket ourselves.
                raise CallCancelled(
                    "The call was stopped.", may_have_run=exc.may_have_run
                ) from None
        return _scrubbed(result, connection.secrets)

    def _connection(self) -> Connection:
        connection = self._server.connection()
        return replace(connection, principal=self._principal) if self._principal else connection


def _listing(connection: Connection, exchange: Exchange) -> Listing:
    """The tool list in the connection's protocol, or in the first one that the server speaks."""
    if connection.protocol == "rest":
        return RestTransport(connection).list_tools(exchange)
    try:
        return StreamableHTTPTransport(connection).list_tools(exchange)
    except (ProtocolError, UnexpectedStatus) as exc:
        refused = isinstance(exc, UnexpectedStatus) and exc.status_code in (401, 403, 429)
        if connection.protocol == "mcp" or refused:
            raise
        try:
            return RestTransport(connection).list_tools(exchange)
        except (ProtocolError, UnexpectedStatus) as other:
            # Where one dialect asks for a credential, that is the word that helps.
            wants_credential = isinstance(other, UnexpectedStatus) and other.status_code == 401
            raise (other if wants_credential else exc) from None


def _transport(connection: Connection, exchange: Exchange) -> Transport:
    protocol = connection.protocol
    if protocol == "auto":
        protocol = _listing(connection, exchange).protocol
    return (RestTransport if protocol == "rest" else StreamableHTTPTransport)(connection)


def _scrubbed(result: ToolResult, secrets: Iterable[str]) -> ToolResult:
    """The result with what no database stores replaced, and our own credential taken out."""
    content, structured = cleaned(list(result.content)), cleaned(result.structured)
    for secret in secrets:
        content, structured = _without(content, secret), _without(structured, secret)
    return replace(result, content=tuple(content), structured=structured)


def _without(value: Any, secret: str) -> Any:
    match value:
        case str():
            return value.replace(secret, "[redacted]")
        case dict():
            return {_without(key, secret): _without(item, secret) for key, item in value.items()}
        case list():
            return [_without(item, secret) for item in value]
        case _:
            return value


def _plain(result: ToolResult) -> str:
    text = result.text or (str(result.structured) if result.has_structured else "")
    return "".join(char if char.isprintable() else " " for char in text) or "it gave no reason"
