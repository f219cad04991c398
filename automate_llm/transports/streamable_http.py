"""MCP over streamable HTTP: 2026-07-28 without a handshake, and the versions with one.

Which of the two a server speaks is found with read-only requests, as the specification says
(2026-07-28, basic/transports/streamable-http, "Backward Compatibility").
"""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from automate_llm import strict_json
from automate_llm.authentication import send_authenticated
from automate_llm.exceptions import (
    ConnectionFailed,
    ProtocolError,
    UnexpectedStatus,
)
from automate_llm.exchange import Exchange, running_no_tool
from automate_llm.http import Answer, refuse_status
from automate_llm.sse import event_data
from automate_llm.values import Connection, ToolResult

from . import jsonrpc
from .base import Asking, Listing, OnProgress
from .protocol import (
    MODERN_ERRORS,
    MODERN_VERSIONS,
    agreed_version,
    every_page,
    initialize_params,
    listing_of,
    mapping,
    progress_to,
    supported_version,
    tool_result,
    with_meta,
    with_progress_token,
)
from .sessions import Session, sessions

_MAX_ERROR_BYTES = 64 * 1024


class StreamableHTTPTransport:
    """One server that speaks MCP over streamable HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._version = connection.protocol_version

    @running_no_tool()
    def list_tools(self, exchange: Exchange) -> Listing:
        """Find out the version, then read every page of `tools/list`."""
        about = self._settle(exchange)

        def page(params: dict[str, Any]) -> dict[str, Any]:
            return self._request(exchange, "tools/list", params).unwrap()

        return listing_of(about, every_page(page), "mcp", self._version)

    def call_tool(
        self,
        exchange: Exchange,
        name: str,
        arguments: dict[str, Any],
        on_progress: OnProgress | None,
    ) -> ToolResult:
        """`tools/call`, sent once; its version is settled before, by read-only requests."""
        if not self._version:
            self._settle(exchange)
        params: dict[str, Any] = {"name": name, "arguments": arguments}
        return tool_result(self._request(exchange, "tools/call", params, on_progress).unwrap())

    @contextmanager
    def asking(self, exchange: Exchange) -> Iterator[Asking]:
        """Requests in the settled version; it is settled first where it is not."""

        def ask(method: str, params: dict[str, Any]) -> dict[str, Any]:
            if not self._version:
                self._settle(exchange)
            return self._request(exchange, method, params).unwrap()

        with running_no_tool():
            yield Asking(lambda: self._settle(exchange), ask)

    @running_no_tool()
    def _settle(self, exchange: Exchange) -> Mapping[str, Any]:
        """Set the version that this server speaks, and return what it says of itself."""
        self._version = MODERN_VERSIONS[0]
        try:
            response = self._request(exchange, "server/discover", {})
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
        session = sessions.of(self._connection) or self._initialize(exchange)
        self._version = session.version
        return session.about

    @running_no_tool()
    def _initialize(self, exchange: Exchange) -> Session:
        """Open a session (2025-11-25, basic/lifecycle); only versions that we know are taken."""
        self._version = ""
        session_id = ""

        def keep_session(headers: Mapping[str, str]) -> None:
            nonlocal session_id
            session_id = headers.get("Mcp-Session-Id", "")

        response = self._post(
            exchange, "initialize", initialize_params(), {}, on_headers=keep_session
        )
        about = response.unwrap()
        version = agreed_version(about)
        if len(session_id) > 256 or not all("!" <= char <= "~" for char in session_id):
            raise ProtocolError("The server gave a session id that no header may carry.")
        session = Session(session_id, version, about)
        self._version = session.version
        self._notify(exchange, "notifications/initialized", session)
        sessions.keep(self._connection, session)
        return session

    def _request(
        self,
        exchange: Exchange,
        method: str,
        params: dict[str, Any],
        on_progress: OnProgress | None = None,
    ) -> jsonrpc.Response:
        """Send one request in the settled version's way.

        A session that the server has forgotten (404) is renewed once: such a request did not run.
        """
        if self._version in MODERN_VERSIONS:
            return self._post(exchange, method, *self._modern(method, params), on_progress)
        session = sessions.of(self._connection) or self._initialize(exchange)
        try:
            return self._post(exchange, method, params, session.headers, on_progress)
        except UnexpectedStatus as exc:
            if not session.id or exc.status_code not in (400, 404):
                raise
            sessions.forget(self._connection)
            if exc.status_code == 400:
                raise
            session = self._initialize(exchange)
            return self._post(exchange, method, params, session.headers, on_progress)

    def _modern(self, method: str, params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Parameters with `_meta`, and the headers that mirror them (2026-07-28, basic/index)."""
        headers = {"MCP-Protocol-Version": self._version, "Mcp-Method": method}
        if name := params.get("name") or params.get("uri"):
            headers["Mcp-Name"] = header_value(name)
        return with_meta(params, self._version), headers

    def _post(
        self,
        exchange: Exchange,
        method: str,
        params: dict[str, Any],
        headers: Mapping[str, str],
        on_progress: OnProgress | None = None,
        on_headers: Any = None,
    ) -> jsonrpc.Response:
        request_id = jsonrpc.next_id()
        on_notification = None
        if on_progress is not None:
            params = with_progress_token(params, request_id)
            on_notification = progress_to(on_progress, request_id)
        body = jsonrpc.encoded(method, params, request_id)
        with self._sent(exchange, headers, body) as answer:
            if on_headers is not None:
                on_headers(answer.headers)
            if answer.status_code >= 400 and (error := _rpc_error(answer, request_id)) is not None:
                return error
            refuse_status(answer)
            if answer.content_type == "text/event-stream":
                documents = event_data(answer.chunks())
            elif answer.content_type == "application/json":
                documents = iter([answer.read()])
            else:
                raise ProtocolError(
                    "The server's answer is neither JSON nor an event stream. Check the endpoint "
                    "URL.",
                    may_have_run=True,
                )
            return jsonrpc.response_among(documents, request_id, on_notification)

    def _notify(self, exchange: Exchange, method: str, session: Session) -> None:
        """Send a notification; what a server answers to it changes nothing."""
        body = jsonrpc.encoded(method, {}, None)
        with (
            suppress(ProtocolError),
            self._sent(exchange, session.headers, body) as answer,
        ):
            answer.read()

    def _sent(self, exchange: Exchange, headers: Mapping[str, str], body: bytes) -> Any:
        complete = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "User-Agent": "django-automate",
            **headers,
            **self._connection.headers,
        }
        url = self._connection.endpoint_url
        return send_authenticated(self._connection, exchange, "POST", url, complete, body)


def header_value(value: str) -> str:
    """A value as `Mcp-Name` carries it: plain ASCII, or Base64 between the specified marks.

    Source: MCP 2026-07-28, basic/transports/streamable-http, "Value Encoding".
    """
    plain = value.isascii() and value.isprintable()
    marked = value.startswith("=?base64?") and value.endswith("?=")
    if plain and value == value.strip() and value and not marked:
        return value
    return f"=?base64?{base64.b64encode(value.encode(errors='replace')).decode()}?="


def _rpc_error(answer: Answer, request_id: int) -> jsonrpc.Response | None:
    """The JSON-RPC error in an HTTP error, where it says more than the status does."""
    if answer.content_type != "application/json":
        return None
    try:
        message = mapping(strict_json.loads(answer.read(_MAX_ERROR_BYTES)))
    except (ProtocolError, ConnectionFailed):
        return None
    error = mapping(message.get("error"))
    code = error.get("code")
    if not isinstance(code, int):
        return None
    unknown_method = code == jsonrpc.METHOD_NOT_FOUND and answer.status_code == 404
    to_us = message.get("id") == request_id and answer.status_code == 400
    if code in MODERN_ERRORS or unknown_method or to_us:
        return jsonrpc.Response(error_code=code, error_data=error.get("data"))
    return None
