"""An MCP server on the official SDK, as an ASGI application."""

from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)

from .tools import ANSWER, tool_list

_TOOLS = [Tool.model_validate(each) for each in tool_list(server=0, count=20)]


async def _list_tools(
    context: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
) -> ListToolsResult:
    return ListToolsResult(tools=_TOOLS)


async def _call_tool(
    context: ServerRequestContext[Any, Any], params: CallToolRequestParams
) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=ANSWER)])


app = Server("Shop", on_list_tools=_list_tools, on_call_tool=_call_tool).streamable_http_app(
    json_response=True, stateless_http=True
)
