"""The toolbox on FastMCP."""

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.utilities.types import Image
from toolbox import fill, options, serve

asked = options()
server: FastMCP = FastMCP("Toolbox", instructions="Ask it for sums.")
fill(server, context=Context, image=Image, tool_error=ToolError)

if asked.transport == "stdio":
    server.run("stdio", show_banner=False)
else:
    modes = {"stateless_http": asked.stateless, "json_response": asked.json}
    serve(server.http_app(transport=asked.transport, **modes))
