"""The simple HTTP dialect: `GET {endpoint}/tools` and `POST {endpoint}/execute`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from automate_llm import strict_json
from automate_llm.authentication import send_authenticated
from automate_llm.exceptions import MCPClientError, ProtocolError
from automate_llm.exchange import Exchange, running_no_tool
from automate_llm.http import refuse_status
from automate_llm.values import Connection, ToolResult

from .base import Asking, Listing, ToolCall

NO_TRACE: Mapping[str, str] = MappingProxyType({})


class RestTransport:
    """One server that speaks the simple HTTP dialect."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._base = connection.endpoint_url.rstrip("/")

    @running_no_tool()
    def list_tools(self, exchange: Exchange) -> Listing:
        """`GET {endpoint}/tools` → `{"tools": [{"name", "description", "inputSchema"}]}`."""
        answer = self._exchange(exchange, "GET", "/tools", None)
        tools = answer.get("tools") if isinstance(answer, dict) else None
        if not isinstance(tools, list):
            raise ProtocolError('The server\'s answer to GET /tools has no list "tools".')
        return Listing(tools=tools, protocol="rest")

    def call_tool(self, exchange: Exchange, call: ToolCall) -> ToolResult:
        """`POST {endpoint}/execute` with `{"tool", "arguments"}` → `{"result": …}`."""
        body = strict_json.dumps({"tool": call.name, "arguments": call.arguments})
        answer = self._exchange(exchange, "POST", "/execute", body, call.trace_context)
        if isinstance(answer, dict) and "result" in answer:
            return ToolResult(structured=answer["result"], has_structured=True)
        if isinstance(answer, dict) and "error" in answer:
            return ToolResult(structured=answer["error"], has_structured=True, is_error=True)
        raise ProtocolError(
            'The server\'s answer to POST /execute has no "result".', may_have_run=True
        )

    @contextmanager
    def asking(self, exchange: Exchange) -> Iterator[Asking]:
        """There is nothing else to ask."""

        def ask(method: str, params: dict[str, Any]) -> dict[str, Any]:
            raise MCPClientError("The simple HTTP dialect has tools only; nothing was sent.")

        yield Asking(dict, ask)

    def listen(
        self,
        exchange: Exchange,
        on_notification: Callable[[str, dict[str, Any]], object],
        on_open: Callable[[], object],
    ) -> None:
        """Nothing is said unasked."""
        raise MCPClientError("A server of the simple HTTP dialect says nothing unasked.")

    def _exchange(
        self,
        exchange: Exchange,
        method: str,
        path: str,
        body: bytes | None,
        trace_context: Mapping[str, str] = NO_TRACE,
    ) -> Any:
        headers = {"Accept": "application/json", "User-Agent": "django-automate", **trace_context}
        if body is not None:
            headers["Content-Type"] = "application/json"
        headers |= self._connection.headers
        url = self._base + path
        with send_authenticated(self._connection, exchange, method, url, headers, body) as answer:
            refuse_status(answer)
            return strict_json.loads(answer.read())
