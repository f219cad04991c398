"""The toolbox on a release of the official Python SDK's 1.x line."""

from mcp.server.fastmcp import Context, FastMCP, Image
from mcp.server.fastmcp.exceptions import ToolError
from mcp.server.session import ServerSession
from mcp.shared.exceptions import McpError
from mcp.types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    EmbeddedResource,
    ListRootsRequest,
    ListRootsResult,
    ServerRequest,
)
from pydantic import BaseModel
from toolbox import fill, options, protected, serve

asked = options()
modes = {"stateless_http": asked.stateless, "json_response": asked.json, **protected(asked)}
sessions: list[ServerSession] = []
made = ServerSession.__init__


def remembered(self: ServerSession, *args: object, **kwargs: object) -> None:
    """The SDK keeps no list of those who could be told something."""
    made(self, *args, **kwargs)
    sessions.append(self)


ServerSession.__init__ = remembered
server = FastMCP("Toolbox", instructions="Ask it for sums.", **modes)
fill(
    server,
    context=Context,
    image=Image,
    resource=EmbeddedResource,
    tool_error=ToolError,
)


class Choice(BaseModel):
    colour: str


@server.tool()
async def order(ctx: Context) -> str:
    """Order a mug in the colour that a person chooses."""
    answer = await ctx.elicit("Which colour?", Choice)
    return f"A {answer.data.colour} mug." if answer.action == "accept" else answer.action


@server.tool()
async def restock(ctx: Context) -> str:
    """Say to everybody who is still there that the tools changed."""
    for session in list(sessions):
        try:
            await session.send_tool_list_changed()
        except Exception:  # a session whose client has gone, however the SDK says so
            sessions.remove(session)
    return "done"


@server.tool()
async def pry(ctx: Context) -> str:
    """Ask the client for its roots and its model, as if it had offered them."""
    await ctx.info("a line of the log")
    sample = CreateMessageRequestParams(messages=[], maxTokens=1)
    wanted = (
        (CreateMessageRequest(method="sampling/createMessage", params=sample), CreateMessageResult),
        (ListRootsRequest(method="roots/list"), ListRootsResult),
    )
    refusals = []
    for request, result in wanted:
        try:
            await ctx.session.send_request(ServerRequest(request), result, **beside(ctx))
        except McpError as exc:
            refusals.append(str(exc.error.code))
    return " ".join(refusals)


def beside(ctx: Context) -> dict[str, object]:
    """What sends a request on the stream of the call, for releases that have more than one."""
    try:
        from mcp.shared.message import ServerMessageMetadata
    except ImportError:
        return {}
    return {"metadata": ServerMessageMetadata(related_request_id=ctx.request_id)}


if asked.transport == "stdio":
    server.run("stdio")
else:
    serve(server.sse_app() if asked.transport == "sse" else server.streamable_http_app(), asked)
