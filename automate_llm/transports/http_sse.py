"""MCP over HTTP with server-sent events, the transport before streamable HTTP.

Each operation has a stream of its own: opened, asked, closed. Source: MCP 2024-11-05,
basic/transports, "HTTP with SSE".
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from automate_llm.authentication import send_authenticated
from automate_llm.exceptions import (
    CallCancelled,
    DeadlineExceeded,
    MCPClientError,
    ProtocolError,
)
from automate_llm.exchange import MAX_CONTENT_BYTES, Exchange, running_no_tool
from automate_llm.http import Answer, refuse_status
from automate_llm.sse import events
from automate_llm.values import Connection, OnQuestion, ToolResult

from . import jsonrpc
from .base import Asking, Listing, ToolCall
from .protocol import (
    agreed_version,
    initialize_params,
    listing_of,
    notice_change,
    progress_to,
    tool_result,
)
from .questions import answers
from .replying import Replies
from .tool_calls import call_params

OPEN_SECONDS = 10.0
"""How long the stream and its first event may take; servers of other protocols send neither."""
_CANCEL_SECONDS = 0.5
_EVENTS_BEFORE_ENDPOINT = 10
_MAX_ADDRESS_CHARACTERS = 2_000


class SSETransport:
    """One server that speaks MCP over HTTP with server-sent events."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @running_no_tool()
    def list_tools(self, exchange: Exchange) -> Listing:
        """Open a stream, shake hands, and read every page of `tools/list`."""
        with self._stream(exchange) as stream:

            def page(params: dict[str, Any]) -> dict[str, Any]:
                return stream.request("tools/list", params, jsonrpc.next_id()).unwrap()

            about = stream.initialize()
            return listing_of(about, page, "sse", agreed_version(about))

    def call_tool(self, exchange: Exchange, call: ToolCall) -> ToolResult:
        """Open a stream, shake hands, and send `tools/call` once."""
        with ExitStack() as stack:
            with running_no_tool():
                stream = stack.enter_context(self._stream(exchange))
                about = stream.initialize(call.on_question)
            notice_change(self._connection, agreed_version(about))
            token = jsonrpc.next_id()
            params = call_params(call, agreed_version(about), token)
            on_notification = progress_to(call.on_progress, token) if call.on_progress else None
            return tool_result(stream.call(params, token, on_notification).unwrap())

    @contextmanager
    def asking(self, exchange: Exchange) -> Iterator[Asking]:
        """Requests on one stream, opened for them."""
        with running_no_tool(), self._stream(exchange) as stream:

            def ask(method: str, params: dict[str, Any]) -> dict[str, Any]:
                return stream.request(method, params, jsonrpc.next_id()).unwrap()

            about = stream.initialize()
            yield Asking(lambda: about, ask)

    @running_no_tool()
    def listen(
        self,
        exchange: Exchange,
        on_notification: jsonrpc.OnNotification,
        on_open: Callable[[], object],
    ) -> None:
        """Hand over what the server says unasked, until it ends the stream."""
        with self._stream(exchange) as stream:
            stream.initialize()
            on_open()
            stream.listen(on_notification)

    @contextmanager
    def _stream(self, exchange: Exchange) -> Iterator["_Stream"]:
        headers = {
            "Accept": "text/event-stream",
            "Cache-Control": "no-store",
            "User-Agent": "django-automate",
            **self._connection.headers,
        }
        url = self._connection.endpoint_url
        with ExitStack() as stack:
            try:
                with exchange.within(OPEN_SECONDS):
                    answer = stack.enter_context(
                        send_authenticated(self._connection, exchange, "GET", url, headers)
                    )
                    stream = _Stream(self._connection, exchange, answer)
            except DeadlineExceeded:
                exchange.remaining()  # only the opening took too long, not the whole call
                raise _no_endpoint() from None
            yield stream
            answer.close()


class _Stream:
    """An open event stream, and the address that its server takes messages at."""

    def __init__(self, connection: Connection, exchange: Exchange, answer: Answer) -> None:
        refuse_status(answer)
        if answer.content_type != "text/event-stream":
            raise ProtocolError("The server's answer is no event stream. Check the endpoint URL.")
        self._connection = connection
        self._exchange = exchange
        self._reply = Replies(self._post, answers(None))
        self._events = events(answer.chunks(MAX_CONTENT_BYTES))
        self._address = self._endpoint()

    def initialize(self, on_question: OnQuestion | None = None) -> dict[str, Any]:
        """Shake hands, and return what the server says of itself."""
        self._reply = Replies(self._post, answers(on_question))
        params = initialize_params(asks=on_question is not None)
        about = self.request("initialize", params, jsonrpc.next_id()).unwrap()
        agreed_version(about)
        self._post(jsonrpc.encoded("notifications/initialized", {}, None))
        return about

    def call(
        self,
        params: dict[str, Any],
        request_id: int,
        on_notification: jsonrpc.OnNotification | None,
    ) -> jsonrpc.Response:
        """`tools/call`; where nobody waits for it any more, the server is told."""
        try:
            return self.request("tools/call", params, request_id, on_notification)
        except (CallCancelled, DeadlineExceeded):
            cancelled = jsonrpc.encoded("notifications/cancelled", {"requestId": request_id}, None)
            with suppress(MCPClientError):
                self._post(cancelled, Exchange(_CANCEL_SECONDS))
            raise

    def request(
        self,
        method: str,
        params: dict[str, Any],
        request_id: int,
        on_notification: jsonrpc.OnNotification | None = None,
    ) -> jsonrpc.Response:
        """Post a request and read the stream until its answer."""
        self._post(jsonrpc.encoded(method, params, request_id))
        return jsonrpc.response_among(self._messages(), request_id, on_notification, self._reply)

    def listen(self, on_notification: jsonrpc.OnNotification) -> None:
        """Read the stream to its end."""
        # Nothing has this id, so that all of the stream is read.
        jsonrpc.find_response(self._messages(), jsonrpc.next_id(), on_notification, self._reply)

    def _messages(self) -> Iterator[bytes]:
        return (data for kind, data in self._events if kind == "message")

    def _endpoint(self) -> str:
        for kind, data in islice(self._events, _EVENTS_BEFORE_ENDPOINT):
            if kind == "endpoint":
                return message_address(self._connection.endpoint_url, data)
        raise _no_endpoint()

    def _post(self, body: bytes, exchange: Exchange | None = None) -> None:
        """Send a message on a connection beside the stream; what comes back says nothing."""
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "django-automate",
            **self._connection.headers,
        }
        with send_authenticated(
            self._connection,
            exchange or self._exchange.beside(),
            "POST",
            self._address,
            headers,
            body,
        ) as answer:
            refuse_status(answer)
            if exchange is not None:
                # Some servers hang up once they have answered to a stream that is closed.
                answer.close()


def message_address(stream_url: str, data: bytes) -> str:
    """The address in an `endpoint` event, of the stream's own origin whichever parser reads it.

    Raises:
        ProtocolError: it is another origin's, or no address.
    """
    text = data.decode(errors="replace").strip()
    plain = text.isascii() and text.isprintable() and not {" ", "\\"} & set(text)
    if not text or not plain or len(text) > _MAX_ADDRESS_CHARACTERS:
        raise ProtocolError("The server's event stream names a malformed address for messages.")
    try:
        base, parts = urlsplit(stream_url), urlsplit(urljoin(stream_url, text))
        same = _origin(parts) == _origin(base)
    except ValueError:
        same = False
    if not same:
        raise ProtocolError(
            "The server wants its messages sent to another origin than its own, which is refused."
        )
    return urlunsplit((base.scheme, base.netloc, parts.path, parts.query, ""))


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None, str | None]:
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or default, parts.username


def _no_endpoint() -> ProtocolError:
    return ProtocolError("The server's event stream names no address for messages.")
