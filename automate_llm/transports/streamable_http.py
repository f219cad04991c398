"""MCP over streamable HTTP: 2026-07-28 without a handshake, and the versions with one.

Which of the two a server speaks is found with read-only requests, as the specification says
(2026-07-28, basic/transports/streamable-http, "Backward Compatibility").
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from automate_llm import strict_json
from automate_llm.exceptions import (
    CallCancelled,
    ConnectionFailed,
    DeadlineExceeded,
    LimitExceeded,
    MCPClientError,
    ProtocolError,
    RPCError,
    UnexpectedStatus,
)
from automate_llm.exchange import Exchange, running_no_tool
from automate_llm.values import Connection, ToolResult

from . import jsonrpc
from .base import Asking, Listing, ToolCall
from .http_messages import Endpoint, Reader
from .parameter_headers import header_value, parameter_headers
from .protocol import (
    MODERN_VERSIONS,
    agreed_version,
    initialize_params,
    listing_of,
    mapping,
    notice_change,
    noting_subscription,
    progress_to,
    subscription_params,
    supported_version,
    with_meta,
)
from .questions import answers
from .sessions import Session, sessions
from .side_streams import side_stream
from .tool_calls import call_params, continued, outcome

CANCEL_SECONDS = 0.5
MAX_ABOUT_BYTES = 256 * 1024
_NAMES = ("name", "uri", "taskId")


@dataclass(frozen=True, slots=True)
class _Message:
    """A request before it has an id; `call` is what it does where it calls a tool."""

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)
    asks: bool = False
    call: ToolCall | None = None
    on_notification: jsonrpc.OnNotification | None = None

    def written(self, request_id: int, version: str) -> dict[str, Any]:
        """Its parameters under this id."""
        if self.call is None:
            return dict(self.params)
        return call_params(self.call, version, request_id)

    def reader(self, request_id: int, *, answering: bool) -> Reader:
        """What is done with all that comes before its answer."""
        call = self.call
        on_notification = self.on_notification
        if call is not None and call.on_progress is not None:
            on_notification = progress_to(call.on_progress, request_id)
        on_question = call.on_question if call is not None else None
        return Reader(on_notification, answers=answers(on_question) if answering else None)


class StreamableHTTPTransport:
    """One server that speaks MCP over streamable HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._version = connection.protocol_version
        self._endpoint = Endpoint(connection)

    @running_no_tool()
    def list_tools(self, exchange: Exchange) -> Listing:
        """Find out the version, then read every page of `tools/list`."""
        about = self._settle(exchange)

        def page(params: dict[str, Any]) -> dict[str, Any]:
            return self._request(exchange, _Message("tools/list", params)).unwrap()

        return listing_of(about, page, "mcp", self._version)

    def call_tool(self, exchange: Exchange, call: ToolCall) -> ToolResult:
        """`tools/call`, sent once; its version is settled before, by read-only requests."""
        if not self._version:
            self._settle(exchange)

        def ask(exchange: Exchange, method: str, params: dict[str, Any]) -> jsonrpc.Response:
            return self._request(exchange, _Message(method, params, asks=call.asks))

        if call.task_id:
            return continued(call, self._version, ask, exchange)
        message = _Message("tools/call", asks=call.asks, call=call)
        response = self._renegotiated(exchange, message)
        notice_change(self._connection, self._version, response.error_code)
        return outcome(response, call, self._version, ask, exchange)

    @contextmanager
    def asking(self, exchange: Exchange) -> Iterator[Asking]:
        """Requests in the settled version; it is settled first where it is not."""

        def ask(method: str, params: dict[str, Any]) -> dict[str, Any]:
            if not self._version:
                self._settle(exchange)
            return self._request(exchange, _Message(method, params)).unwrap()

        with running_no_tool():
            yield Asking(lambda: self._settle(exchange), ask)

    @running_no_tool()
    def listen(
        self,
        exchange: Exchange,
        on_notification: jsonrpc.OnNotification,
        on_open: Callable[[], object],
    ) -> None:
        """Hand over what the server says unasked, until it ends the stream.

        Source: MCP 2026-07-28, basic/patterns/subscriptions; 2025-11-25, basic/transports.
        """
        if not self._version:
            self._settle(exchange)
        if self._version in MODERN_VERSIONS:
            noting = noting_subscription(on_notification, on_open)
            message = _Message(
                "subscriptions/listen", subscription_params(), on_notification=noting
            )
            self._request(exchange, message).unwrap()
            return
        session = self._session(exchange, alone=False)
        reader = Reader(on_notification, lambda headers: on_open(), answers(None))
        try:
            self._endpoint.listen(exchange, session.headers, reader)
        except UnexpectedStatus as exc:
            if exc.status_code in (400, 404):
                sessions.forget(self._connection, session)
            raise

    @running_no_tool()
    def _settle(self, exchange: Exchange) -> Mapping[str, Any]:
        """Set the version that this server speaks, and return what it says of itself."""
        self._version = MODERN_VERSIONS[0]
        try:
            response = self._request(exchange, _Message("server/discover"))
        except UnexpectedStatus as exc:
            if exc.status_code in (401, 403, 429):
                raise
            return self._shake_hands(exchange)
        except ProtocolError:
            return self._shake_hands(exchange)
        version = supported_version(response)
        if version not in MODERN_VERSIONS:
            return self._shake_hands(exchange)
        self._version = version
        return mapping(response.result)

    def _shake_hands(self, exchange: Exchange) -> Mapping[str, Any]:
        """Use the session that is open, or open one."""
        session = self._session(exchange, alone=False)
        self._version = session.version
        return session.about

    def _session(self, exchange: Exchange, *, alone: bool) -> Session:
        """The one that all use, or one that no other call has meanwhile, in which is asked."""

        def opener() -> Session:
            session = self._initialize(exchange, asks=alone)
            if not alone:
                sessions.keep(self._connection, session)
            return session

        if alone:
            return sessions.lent(self._connection, opener)
        return sessions.opened(self._connection, exchange, opener)

    @running_no_tool()
    def _initialize(self, exchange: Exchange, *, asks: bool) -> Session:
        """Open a session (2025-11-25, basic/lifecycle); only versions that we know are taken."""
        self._version = ""
        session_id = ""

        def keep_session(headers: Mapping[str, str]) -> None:
            nonlocal session_id
            session_id = headers.get("Mcp-Session-Id", "")

        request_id = jsonrpc.next_id()
        body = jsonrpc.encoded("initialize", initialize_params(asks=asks), request_id)
        reader = Reader(on_headers=keep_session)
        about = self._endpoint.request(exchange, {}, request_id, body, reader).unwrap()
        version = agreed_version(about)
        if len(strict_json.dumps(about)) > MAX_ABOUT_BYTES:  # a thousand sessions may be kept
            raise LimitExceeded("The server says more of itself than any client can use.")
        if len(session_id) > 256 or not all("!" <= char <= "~" for char in session_id):
            raise ProtocolError("The server gave a session id that no header may carry.")
        session = Session(session_id, version, about, asks=asks)
        self._version = session.version
        self._endpoint.notify(
            exchange, session.headers, jsonrpc.encoded("notifications/initialized", {}, None)
        )
        return session

    def _renegotiated(self, exchange: Exchange, message: _Message) -> jsonrpc.Response:
        """Send it; where the server has come to speak another version, once more in that one.

        It was refused in the old version, so that nothing ran. The new one is found by requests
        that only read.
        """
        before = self._version
        try:
            response = self._request(exchange, message)
            if response.error_code != jsonrpc.UNSUPPORTED_PROTOCOL_VERSION:
                return response
            refusal = None
        except (RPCError, UnexpectedStatus) as exc:
            if exc.may_have_run or not self._may_speak_another(exc):
                raise
            refusal = exc
        try:
            self._settle(exchange)
        except (ConnectionFailed, ProtocolError, RPCError, UnexpectedStatus):
            self._version = before
        if (self._version in MODERN_VERSIONS) != (before in MODERN_VERSIONS):
            return self._request(exchange, message)
        if refusal is not None:
            raise refusal
        return response

    def _may_speak_another(self, refusal: MCPClientError) -> bool:
        """Whether the server may have refused the version: with a status, or the handshake."""
        shook_hands_in_vain = not self._version
        if isinstance(refusal, UnexpectedStatus):
            return refusal.status_code == 400 or (
                shook_hands_in_vain and refusal.status_code in (404, 405)
            )
        return shook_hands_in_vain

    def _request(self, exchange: Exchange, message: _Message) -> jsonrpc.Response:
        """Send one request in the settled version's way.

        A session that the server has forgotten (404) is renewed once: such a request did not run.
        """
        if self._version in MODERN_VERSIONS:
            return self._modern(exchange, message)
        alone = message.call is not None and message.call.on_question is not None
        session = self._session(exchange, alone=alone)
        try:
            return self._in_session(exchange, session, message)
        except UnexpectedStatus as exc:
            if not session.id or exc.status_code not in (400, 404):
                raise
            sessions.forget(self._connection, session)
            if exc.status_code == 400:
                raise
        finally:
            sessions.give_back(self._connection, session)
        session = self._session(exchange, alone=alone)
        try:
            return self._in_session(exchange, session, message)
        finally:
            sessions.give_back(self._connection, session)

    def _modern(self, exchange: Exchange, message: _Message) -> jsonrpc.Response:
        """Send it with `_meta`, and the headers that mirror what it says (2026-07-28)."""
        request_id = jsonrpc.next_id()
        params = message.written(request_id, self._version)
        headers = {"MCP-Protocol-Version": self._version, "Mcp-Method": message.method}
        for name in _NAMES:
            if isinstance(value := params.get(name), str):
                headers["Mcp-Name"] = header_value(value)
                break
        if message.call is not None:
            headers |= parameter_headers(message.call.input_schema, message.call.arguments)
        params = with_meta(params, self._version, asks=message.asks)
        body = jsonrpc.encoded(message.method, params, request_id)
        reader = message.reader(request_id, answering=False)
        return self._endpoint.request(exchange, headers, request_id, body, reader)

    def _in_session(
        self, exchange: Exchange, session: Session, message: _Message
    ) -> jsonrpc.Response:
        """Send it; where nobody waits for a call any more, the server is told."""
        request_id = jsonrpc.next_id()
        params = message.written(request_id, session.version)
        body = jsonrpc.encoded(message.method, params, request_id)
        reader = message.reader(request_id, answering=True)
        try:
            with self._beside(exchange, session, reader):
                return self._endpoint.request(exchange, session.headers, request_id, body, reader)
        except (CallCancelled, DeadlineExceeded) as exc:
            if exc.may_have_run and message.call is not None:
                body = jsonrpc.encoded("notifications/cancelled", {"requestId": request_id}, None)
                with suppress(MCPClientError):
                    self._endpoint.notify(Exchange(CANCEL_SECONDS), session.headers, body)
                # Older servers on the Python SDK do not survive it in that session.
                sessions.forget(self._connection, session)
            raise

    def _beside(
        self, exchange: Exchange, session: Session, reader: Reader
    ) -> AbstractContextManager[None]:
        if not session.asks or reader.answers is None:
            return nullcontext()
        return side_stream(self._endpoint, exchange, session, reader.answers)
