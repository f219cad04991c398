"""The client for MCP servers: one object, every failure one kind of error."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from .breaker import breaker_of
from .cancellation import Cancellation
from .content import checked_blocks
from .exceptions import (
    ConnectionFailed,
    InputRequired,
    MCPClientError,
    ProtocolError,
    ToolFailed,
    UnexpectedStatus,
)
from .exchange import Exchange
from .offerings import FilledPrompt, Offerings, contents_of, filled_prompt, offerings_of
from .redaction import redacted
from .strict_json import cleaned, dumps
from .tool_lists import discovery_of
from .transports.base import Asking, Listing, ToolCall, Transport
from .transports.http_sse import SSETransport
from .transports.listening import OnChange, listen
from .transports.protocol import declared_capabilities
from .transports.rest import RestTransport
from .transports.session_closing import close_sessions
from .transports.stdio import StdioTransport
from .transports.streamable_http import StreamableHTTPTransport
from .values import (
    Connectable,
    Connection,
    Discovery,
    InputAnswer,
    InputRequest,
    OnProgress,
    OnQuestion,
    ToolResult,
)

__all__ = ["MCPClient", "MCPClientError"]

MAX_ARGUMENTS_BYTES = 1024 * 1024
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

    def execute_tool(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        input_schema: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a tool and give its result as a plain Python value.

        Structured content where there is some, else the text, else the content blocks. The
        arguments go out as they are: `validation.validate_arguments` holds them to the schema.

        Raises:
            MCPClientError: `may_have_run` says whether the tool may have done its work.
        """
        result = self.call(name, arguments, input_schema=input_schema)
        if result.is_error:
            raise ToolFailed(f"The tool {name!r} failed: {_plain(result)[:_ERROR_CHARACTERS]}")
        return result.value

    def discover(
        self, cancellation: Cancellation | None = None, *, known_digest: str = ""
    ) -> Discovery:
        """What the server says of itself and all its tools, cleaned; read-only.

        Where the list still has the digest `known_digest`, the answer is `unchanged` and holds
        no tools, which costs a tenth.

        Raises:
            MCPClientError: the list could not be had.
        """
        connection = self._connection()
        listing = _listing(connection, Exchange(connection.timeout, cancellation))
        breaker_of(connection.slug, connection.endpoint_url).reset()
        return discovery_of(listing, secrets=connection.secrets, known_digest=known_digest)

    def call(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        cancellation: Cancellation | None = None,
        on_progress: OnProgress | None = None,
        input_schema: Mapping[str, Any] | None = None,
        asks: bool = False,
        input_responses: Mapping[str, InputAnswer] | None = None,
        request_state: str | None = None,
        task_id: str = "",
        on_question: OnQuestion | None = None,
        trace_context: Mapping[str, str] | None = None,
    ) -> ToolResult:
        """Call a tool once; a failure that the tool itself reports is a result (`is_error`).

        `input_schema` is the tool's own: it may want arguments mirrored in headers. `asks` tells
        the server that whoever calls takes its questions, which come as `InputRequired`; the
        answers go back in `input_responses`, with that error's `request_state` and `task_id`.
        `on_question` answers what a server of before 2026-07-28 asks while it holds the call, in a
        thread of the question's own; the call's time stands still meanwhile. Without it
        such a question is declined. `trace_context` goes along as W3C Trace Context writes it:
        `traceparent`, and perhaps `tracestate`.

        Raises:
            InputRequired: no failure; a person must answer before the tool goes on.
            MCPClientError: `may_have_run` says whether the tool may have done its work.
        """
        connection = self._connection()
        _check_arguments(arguments)
        exchange = Exchange(connection.timeout, cancellation)
        call = ToolCall(
            name,
            arguments,
            _scrubbing(on_progress, connection) if on_progress is not None else None,
            input_schema or {},
            asks or input_responses is not None,
            input_responses,
            request_state,
            task_id,
            _asking_person(on_question, exchange, connection) if on_question is not None else None,
            trace_context or {},
        )
        with breaker_of(connection.slug, connection.endpoint_url).guarding():
            try:
                result = _transport(connection, exchange).call_tool(exchange, call)
            except InputRequired as exc:
                raise _scrubbed_questions(exc, connection.secrets) from None
        return _scrubbed(result, connection.secrets)

    def listen(self, on_change: OnChange, cancellation: Cancellation) -> None:
        """Call `on_change` with `tools`, `prompts` or `resources` when the server says that this
        list changed, until `cancellation`. It waits for hours: give it a thread of its own.

        Raises:
            MCPClientError: the server offers nothing to listen to.
        """
        connection = self._connection()
        if connection.command is None and connection.protocol == "rest":
            raise MCPClientError("A server of the simple HTTP dialect says nothing unasked.")
        listen(connection.slug, lambda: _settled(connection), on_change, cancellation)

    def close(self) -> None:
        """End this client's sessions on the server, where it keeps any; best effort.

        A later call opens another one.
        """
        close_sessions(self._connection())

    def discover_resources(self) -> list[dict[str, Any]]:
        """Every resource and template of resources as a dict: `uri`, `name`, `title`,
        `description`, `mime_type`, `size`, `is_template`.

        Raises:
            MCPClientError: the list could not be had.
        """
        found = self.discover_offerings(only={"resources"})
        return [resource.as_dict() for resource in found.resources]

    def discover_prompts(self) -> list[dict[str, Any]]:
        """Every prompt as a dict: `name`, `title`, `description`, and `arguments`, each with
        `name`, `title`, `description`, `required`.

        Raises:
            MCPClientError: the list could not be had.
        """
        return [prompt.as_dict() for prompt in self.discover_offerings(only={"prompts"}).prompts]

    def discover_offerings(
        self,
        cancellation: Cancellation | None = None,
        *,
        only: Collection[str] = ("prompts", "resources"),
        declared: Collection[str] | None = None,
    ) -> Offerings:
        """The lists named in `only`, where the server declares them; read-only.

        `declared` are the capabilities that a discovery found; without them the server is asked.

        Raises:
            MCPClientError: a list could not be had.
        """
        connection = self._connection()
        with _asking(connection, cancellation) as asking:
            known = declared_capabilities(asking.about()) if declared is None else declared
            return offerings_of(asking, set(only) & set(known), connection.secrets)

    def read_resource(
        self, uri: str, *, cancellation: Cancellation | None = None
    ) -> tuple[dict[str, Any], ...]:
        """What a resource holds: blocks of type `resource`, with `text`, or `blob` in Base64.

        Raises:
            MCPClientError: it could not be had.
        """
        connection = self._connection()
        with (
            breaker_of(connection.slug, connection.endpoint_url).guarding(),
            _asking(connection, cancellation) as asking,
        ):
            return contents_of(asking, uri, connection.secrets)

    def get_prompt(
        self,
        name: str,
        arguments: Mapping[str, str] | None = None,
        *,
        cancellation: Cancellation | None = None,
    ) -> FilledPrompt:
        """A prompt's messages with these arguments filled in.

        Raises:
            MCPClientError: it could not be had.
        """
        connection = self._connection()
        _check_arguments(dict(arguments or {}))
        with (
            breaker_of(connection.slug, connection.endpoint_url).guarding(),
            _asking(connection, cancellation) as asking,
        ):
            return filled_prompt(asking, name, arguments or {}, connection.secrets)

    def _connection(self) -> Connection:
        connection = self._server.connection()
        return replace(connection, principal=self._principal) if self._principal else connection


@contextmanager
def _asking(connection: Connection, cancellation: Cancellation | None) -> Iterator[Asking]:
    exchange = Exchange(connection.timeout, cancellation)
    with _transport(connection, exchange).asking(exchange) as asking:
        yield asking


def _listing(connection: Connection, exchange: Exchange) -> Listing:
    """The tool list in the connection's protocol, or in the first one that the server speaks."""
    if connection.command is not None or connection.protocol in ("rest", "sse"):
        return _settled(connection).list_tools(exchange)
    try:
        return StreamableHTTPTransport(connection).list_tools(exchange)
    except (ProtocolError, UnexpectedStatus) as exc:
        status = exc.status_code if isinstance(exc, UnexpectedStatus) else 0
        if connection.protocol == "mcp" or status in (401, 403, 429):
            raise
        # 2025-11-25, basic/transports, "Backwards Compatibility".
        if status in (400, 404, 405):
            try:
                return SSETransport(connection).list_tools(exchange)
            except (ProtocolError, ConnectionFailed):
                pass
            except UnexpectedStatus as old:
                if old.status_code == 401:
                    raise
        try:
            return RestTransport(connection).list_tools(exchange)
        except (ProtocolError, UnexpectedStatus) as other:
            # Where one dialect asks for a credential, that is the word that helps.
            wants_credential = isinstance(other, UnexpectedStatus) and other.status_code == 401
            raise (other if wants_credential else exc) from None


def _transport(connection: Connection, exchange: Exchange) -> Transport:
    if connection.protocol == "auto" and connection.command is None:
        listing = _listing(connection, exchange)
        connection = replace(
            connection, protocol=listing.protocol, protocol_version=listing.protocol_version
        )
    return _settled(connection)


def _settled(connection: Connection) -> Transport:
    """The transport that needs no finding out."""
    if connection.command is not None:
        return StdioTransport(connection)
    if connection.protocol == "rest":
        return RestTransport(connection)
    if connection.protocol == "sse":
        return SSETransport(connection)
    return StreamableHTTPTransport(connection)


def _check_arguments(arguments: dict[str, Any]) -> None:
    try:
        size = len(dumps(arguments))
    except (TypeError, ValueError, RecursionError):
        raise MCPClientError("The arguments have no form in JSON; nothing was sent.") from None
    if size > MAX_ARGUMENTS_BYTES:
        raise MCPClientError("The arguments are longer than 1 MB; nothing was sent.")


def _scrubbed(result: ToolResult, secrets: tuple[str, ...]) -> ToolResult:
    """The result with what no database stores replaced, and our own credential taken out."""
    content, structured = cleaned(list(result.content)), cleaned(result.structured)
    if secrets:
        content, structured = redacted(content, secrets), redacted(structured, secrets)
    return replace(result, content=checked_blocks(content, secrets), structured=structured)


def _scrubbed_questions(asked: InputRequired, secrets: tuple[str, ...]) -> InputRequired:
    """The questions without our own credential; the server's state stays as it is."""
    requests = {key: _scrubbed_request(request, secrets) for key, request in asked.requests.items()}
    return InputRequired(requests, asked.request_state, asked.task_id)


def _scrubbed_request(request: InputRequest, secrets: tuple[str, ...]) -> InputRequest:
    return replace(
        request,
        message=redacted(request.message, secrets),
        schema=redacted(request.schema, secrets),
        url=redacted(request.url, secrets),
    )


def _asking_person(
    on_question: OnQuestion, exchange: Exchange, connection: Connection
) -> OnQuestion:
    def ask(request: InputRequest) -> InputAnswer:
        with exchange.countdown.held():
            # The secrets are read anew: a token may have been fetched since the call began.
            return on_question(_scrubbed_request(request, connection.secrets))

    return ask


def _scrubbing(on_progress: OnProgress, connection: Connection) -> OnProgress:
    # The secrets are read anew: a token may have been fetched since the call began.
    return lambda progress: on_progress(
        replace(progress, message=redacted(progress.message, connection.secrets))
    )


def _plain(result: ToolResult) -> str:
    text = result.text or (str(result.structured) if result.has_structured else "")
    return "".join(char if char.isprintable() else " " for char in text) or "it gave no reason"
