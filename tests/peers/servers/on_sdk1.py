"""The toolbox on a release of the official Python SDK's 1.x line."""

from mcp.server.fastmcp import Context, FastMCP, Image
from mcp.server.fastmcp.exceptions import ToolError
from toolbox import fill, options, serve

asked = options()
modes = {"stateless_http": asked.stateless, "json_response": asked.json}
server = FastMCP("Toolbox", instructions="Ask it for sums.", **modes)
fill(server, context=Context, image=Image, tool_error=ToolError)

if asked.transport == "stdio":
    server.run("stdio")
else:
    serve(server.sse_app() if asked.transport == "sse" else server.streamable_http_app())
