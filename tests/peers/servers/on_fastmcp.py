"""The toolbox on FastMCP."""

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.utilities.tasks import TaskConfig
from fastmcp.utilities.types import Image
from fastmcp_tasks import TasksExtension
from mcp_types import EmbeddedResource
from toolbox import fill, options, serve

asked = options()
server: FastMCP = FastMCP("Toolbox", instructions="Ask it for sums.")
server.add_extension(TasksExtension())
fill(
    server,
    context=Context,
    image=Image,
    resource=EmbeddedResource,
    tool_error=ToolError,
)


@server.tool(task=TaskConfig(mode="required"))
async def brew(cups: int) -> str:
    """Make coffee, as a task."""
    return f"{cups} cups"


@server.tool(task=TaskConfig(mode="required"))
async def spill() -> str:
    """Fail, as a task."""
    raise ToolError("all over the floor")


if asked.transport == "stdio":
    server.run("stdio", show_banner=False)
else:
    modes = {"stateless_http": asked.stateless, "json_response": asked.json}
    serve(server.http_app(transport=asked.transport, **modes))
