"""The toolbox on a release of the official Python SDK's 1.x line."""

from mcp.server.fastmcp import Context, FastMCP, Image
from mcp.server.fastmcp.exceptions import ToolError
from mcp.types import EmbeddedResource
from pydantic import BaseModel
from toolbox import fill, options, serve

asked = options()
modes = {"stateless_http": asked.stateless, "json_response": asked.json}
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
    """Say that the tools changed."""
    await ctx.session.send_tool_list_changed()
    return "done"


if asked.transport == "stdio":
    server.run("stdio")
else:
    serve(server.sse_app() if asked.transport == "sse" else server.streamable_http_app())
