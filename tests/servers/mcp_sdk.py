"""A real MCP server in a thread: the official SDK under uvicorn, over loopback HTTP."""

import asyncio
import inspect
import json
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import uvicorn
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .cutting import CuttingServer
from .recording import Seen

if TYPE_CHECKING:
    from .mcp_offerings import Offered

ANYTHING = {"type": "object"}
MODERN = "2026-07-28"


@dataclass
class Offer:
    """One tool of the server.

    `handler(arguments)` runs in a thread, and may block on `SDKServer.stopping`. An `async def`
    handler gets `(arguments, session)`, with `session.report_progress`. A text becomes a text
    block, any other value structured content, a `CallToolResult` goes out as it is; an exception
    becomes `isError` with its text, an `MCPError` a JSON-RPC error. A `conversation` stands for the
    handler, gets the SDK's own context and parameters, and may ask back.
    """

    name: str
    description: str = "A tool."
    input_schema: dict[str, Any] = field(default_factory=lambda: dict(ANYTHING))
    handler: Callable[..., Any] = lambda arguments: "done"
    title: str | None = None
    output_schema: dict[str, Any] | None = None
    annotations: dict[str, Any] | None = None
    conversation: Callable[[Any, CallToolRequestParams], Awaitable[Any]] | None = None

    def definition(self) -> Tool:
        return Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=self.input_schema,
            output_schema=self.output_schema,
            annotations=self.annotations and ToolAnnotations.model_validate(self.annotations),
        )


class SDKServer:
    """Serves from the moment it is made until `stop`, or the end of its `with` block.

    `tools`, `refuse_with`, `legacy_only` and `modern_only` may be changed while it runs.
    `page_size` splits the tool list in pages; 0 sends it whole.
    `sse` serves the transport of 2024-11-05 instead of streamable HTTP.
    `legacy_only` answers 400 to the stateless protocol, as a server of 2025 does.
    `modern_only` answers 400 to every other version, a handshake included.
    `offered` are resources and prompts; without it the server does not declare them.
    `refuse_with` is an HTTP status that every request gets; 0 serves them.
    `ttl_ms` is for how long it calls its tool list fresh.
    """

    def __init__(
        self,
        *tools: Offer,
        name: str = "Test server",
        version: str = "1.0",
        instructions: str | None = None,
        json_response: bool = False,
        stateless_http: bool = False,
        page_size: int = 0,
        token: str = "",
        api_key: str = "",
        api_key_header: str = "X-API-Key",
        legacy_only: bool = False,
        sse: bool = False,
        offered: "Offered | None" = None,
        ttl_ms: int | None = None,
    ) -> None:
        self.tools = list(tools)
        self.page_size = page_size
        self.legacy_only = legacy_only
        self.modern_only = False
        self.refuse_with = 0
        self.requests: list[Seen] = []
        self.stopping = threading.Event()
        self.ttl_ms = ttl_ms
        self._bus = InMemorySubscriptionBus()
        self._credential = ("authorization", f"Bearer {token}") if token else None
        if api_key:
            self._credential = (api_key_header.lower(), api_key)
        self._forgotten: set[str] = set()
        self._pool = ThreadPoolExecutor(16, thread_name_prefix=f"{name} handler")

        sdk: Server[Any] = Server(
            name,
            version=version,
            instructions=instructions,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_subscriptions_listen=ListenHandler(self._bus),
            get_tool_input_schema=self._input_schema,
            **(offered.handlers() if offered is not None else {}),
        )
        app = (
            _sse_app(sdk)
            if sse
            else sdk.streamable_http_app(json_response=json_response, stateless_http=stateless_http)
        )
        listener = socket.create_server(("127.0.0.1", 0))
        # Accepted sockets inherit it; asyncio leaves it off where a listener is handed over, and
        # small answers would then wait 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/{'sse' if sse else 'mcp'}"
        self._uvicorn = CuttingServer(
            uvicorn.Config(
                self._gate(app), log_config=None, access_log=False, timeout_graceful_shutdown=1
            )
        )
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._uvicorn.serve([listener])),
            name=f"{name} at {self.url}",
        )
        self._thread.start()
        if not self._uvicorn.ready.wait(10):
            raise RuntimeError(f"{name!r} did not start")

    def seen(self, rpc_method: str) -> list[Seen]:
        """The requests of one JSON-RPC method, oldest first."""
        return [each for each in self.requests if each.rpc_method == rpc_method]

    def calls(self, tool: str | None = None) -> list[dict[str, Any]]:
        """The arguments of every `tools/call` that reached the server, of one tool or of all."""
        params = [each.body.get("params", {}) for each in self.seen("tools/call")]
        return [each.get("arguments", {}) for each in params if tool in (None, each.get("name"))]

    def announce_change(self) -> None:
        """Tell those who listen, in the stateless protocol, that the tools changed."""
        loop = self._uvicorn.loop
        assert loop is not None
        asyncio.run_coroutine_threadsafe(self._bus.publish(ToolsListChanged()), loop).result(5)

    def forget_sessions(self) -> None:
        """Answer 404 to every session so far, as a server does after a restart."""
        self._forgotten |= {each.headers.get("mcp-session-id", "") for each in self.requests}
        self._forgotten.discard("")

    def stop(self) -> None:
        """Cut every connection and wait for the threads. A second call does nothing."""
        self.stopping.set()
        self._uvicorn.stop()
        self._thread.join()
        self._pool.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    async def _list_tools(
        self, context: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        start = int(params.cursor) if params is not None and params.cursor else 0
        end = start + (self.page_size or len(self.tools))
        fresh: dict[str, Any] = {}
        if self.ttl_ms is not None:
            fresh = {"ttl_ms": self.ttl_ms, "cache_scope": "public"}
        return ListToolsResult(
            tools=[offer.definition() for offer in self.tools[start:end]],
            next_cursor=str(end) if end < len(self.tools) else None,
            **fresh,
        )

    def _input_schema(self, name: str) -> dict[str, Any] | None:
        return next((each.input_schema for each in self.tools if each.name == name), None)

    async def _call_tool(
        self, context: ServerRequestContext[Any, Any], params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        offer = next((each for each in self.tools if each.name == params.name), None)
        if offer is None:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}")
        arguments = params.arguments or {}
        try:
            if offer.conversation is not None:
                value = await offer.conversation(context, params)
            elif inspect.iscoroutinefunction(offer.handler):
                value = await offer.handler(arguments, context.session)
            else:
                loop = asyncio.get_running_loop()
                value = await loop.run_in_executor(self._pool, offer.handler, arguments)
        except MCPError:
            raise
        except Exception as exc:  # a tool's own failure, whatever it is, is a result
            return CallToolResult(content=[_text(str(exc))], is_error=True)
        if isinstance(value, CallToolResult | InputRequiredResult):
            return value
        if isinstance(value, str):
            return CallToolResult(content=[_text(value)])
        return CallToolResult(content=[_text(json.dumps(value))], structured_content=value)

    def _gate(self, app: ASGIApp) -> ASGIApp:
        """Record each request, then refuse it or let it through to the SDK."""

        async def gated(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            body = await _read(receive)
            self.requests.append(Seen(scope["method"], scope["path"], headers, _json(body)))
            if refusal := self._refusal(headers):
                await _answer(send, *refusal)
                return
            await app(scope, _replayed(body, receive), send)

        return gated

    def _refusal(self, headers: dict[str, str]) -> tuple[int, dict[str, Any]] | None:
        if self.refuse_with:
            return self.refuse_with, {"error": "refused"}
        if self._credential is not None:
            name, value = self._credential
            if headers.get(name) != value:
                return 401, {"error": "unauthorized"}
        if headers.get("mcp-session-id") in self._forgotten:
            return 404, _rpc_error("Session not found")
        if self.legacy_only and headers.get("mcp-protocol-version") == MODERN:
            return 400, _rpc_error(f"Bad Request: Unsupported protocol version: {MODERN}")
        if self.modern_only and headers.get("mcp-protocol-version") != MODERN:
            return 400, _rpc_error("Bad Request: Unsupported protocol version")
        return None


def _sse_app(sdk: "Server[Any]") -> ASGIApp:
    transport = SseServerTransport("/messages/")

    class Stream:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            async with transport.connect_sse(scope, receive, send) as (reading, writing):
                await sdk.run(reading, writing, sdk.create_initialization_options())

    messages = Mount("/messages/", app=transport.handle_post_message)
    return Starlette(routes=[Route("/sse", Stream(), methods=["GET"]), messages])


def _text(text: str) -> TextContent:
    return TextContent(type="text", text=text)


def _rpc_error(message: str) -> dict[str, Any]:
    error = {"code": -32600, "message": message}
    return {"jsonrpc": "2.0", "id": "server-error", "error": error}


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body once more, then whatever the connection says next."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


async def _answer(send: Send, status: int, content: dict[str, Any]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})
