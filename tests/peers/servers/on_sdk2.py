"""The toolbox on the official Python SDK's 2.x line."""

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from toolbox import fill, options, serve

asked = options()
server = MCPServer("Toolbox", instructions="Ask it for sums.")
fill(server, context=Context, image=Image, tool_error=ToolError)

if asked.transport == "stdio":
    server.run("stdio")
elif asked.transport == "sse":
    serve(server.sse_app())
else:
    serve(server.streamable_http_app(stateless_http=asked.stateless, json_response=asked.json))
