"""A real MCP server on standard streams: the official SDK, run as a child process."""

import os

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("Stdio server", version="1.5", instructions="Ask it for sums.")
hanging, cancelled = anyio.Event(), anyio.Event()


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def pid() -> int:
    """Say which process this is."""
    return os.getpid()


@server.tool()
def trace(context: Context) -> str:
    """Say in which trace this was called."""
    return str((context.request_context.meta or {}).get("traceparent"))


@server.tool()
def fail() -> str:
    """Fail."""
    raise ToolError("out of paint")


@server.tool()
async def work(context: Context) -> str:
    """Report progress."""
    await context.report_progress(1, 2, "half")
    return "done"


@server.tool()
async def hang() -> str:
    """Run until it is cancelled."""
    hanging.set()
    try:
        await anyio.sleep_forever()
    finally:
        cancelled.set()
    raise AssertionError


@server.tool()
async def until_hanging() -> str:
    """Return when `hang` has begun."""
    await hanging.wait()
    return "hanging"


@server.tool()
async def until_cancelled() -> str:
    """Return when `hang` was cancelled."""
    await cancelled.wait()
    return "cancelled"


@server.resource("note://today")
def today() -> str:
    """What is on today."""
    return "paint the fence"


@server.prompt()
def greet(name: str) -> str:
    """Greet somebody."""
    return f"Say hello to {name}."


if __name__ == "__main__":
    server.run("stdio")
