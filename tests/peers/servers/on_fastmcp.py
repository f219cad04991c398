"""The toolbox on FastMCP; with `--tasks` it brews coffee too, on a release that has tasks."""

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.utilities.types import Image
from mcp_types import EmbeddedResource
from toolbox import fill, options, serve

asked = options()
server: FastMCP = FastMCP("Toolbox", instructions="Ask it for sums.")
fill(
    server,
    context=Context,
    image=Image,
    resource=EmbeddedResource,
    tool_error=ToolError,
)


def offer_tasks() -> None:
    """Add tools that run as tasks, each of which is asked for until it is done."""
    from fastmcp.utilities.tasks import TaskConfig
    from fastmcp_tasks import TasksExtension

    server.add_extension(TasksExtension())

    @server.tool(task=TaskConfig(mode="required"))
    async def brew(cups: int) -> str:
        """Make coffee, as a task."""
        return f"{cups} cups"

    @server.tool(task=TaskConfig(mode="required"))
    async def spill() -> str:
        """Fail, as a task."""
        raise ToolError("all over the floor")


if asked.tasks:
    offer_tasks()
if asked.transport == "stdio":
    server.run("stdio", show_banner=False)
else:
    modes = {"stateless_http": asked.stateless, "json_response": asked.json}
    serve(server.http_app(transport=asked.transport, **modes), asked)
