"""The tools that every Python peer offers, and how one of them is served.

Run in environments that hold one SDK each and nothing of ours.
"""

import argparse
import base64
import socket
from collections.abc import Callable
from typing import Any

import anyio
import uvicorn

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def fill(
    server: Any, *, context: Any, image: Any, resource: Any, tool_error: type[Exception]
) -> None:
    """Give the server what it offers; every SDK has the same decorators under other names."""
    heard: list[str] = []

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    def shout(text: str) -> str:
        """Say it loudly."""
        return text.upper()

    @server.tool()
    def fail(reason: str) -> str:
        """Fail for this reason."""
        raise tool_error(reason)

    @server.tool()
    def picture() -> image:
        """Draw a dot."""
        return image(data=PNG, format="png")

    @server.tool()
    def card() -> resource:
        """Give the opening hours."""
        text = {"uri": "memo://hours", "mimeType": "text/plain", "text": "Nine to five."}
        return resource.model_validate({"type": "resource", "resource": text})

    @server.tool()
    async def work(ctx: context) -> str:
        """Do it in two steps."""
        await ctx.report_progress(1, 2)
        await ctx.report_progress(2, 2)
        return "done"

    @server.tool()
    async def hang() -> str:
        """Run until the call is stopped."""
        heard.append("begun")
        try:
            await anyio.sleep_forever()
        finally:
            heard.append("stopped")
        raise AssertionError

    @server.tool()
    def hung() -> str:
        """Say how the hanging calls stand, and forget it."""
        said = " ".join(heard)
        heard.clear()
        return said or "nothing"

    @server.resource("memo://welcome", name="Welcome", mime_type="text/plain")
    def welcome() -> str:
        """What hangs over the door."""
        return "Welcome to the shop."

    @server.prompt()
    def greet(name: str) -> str:
        """Greet somebody."""
        return f"Say hello to {name}."


def options() -> argparse.Namespace:
    """How this server was asked to speak."""
    parser = argparse.ArgumentParser()
    parser.add_argument("transport", choices=["http", "sse", "stdio"])
    parser.add_argument("--stateless", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tasks", action="store_true")
    return parser.parse_args()


def serve(application: Callable[..., Any]) -> None:
    """Serve an ASGI application on a port of its own, and say which."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Accepted sockets inherit it; otherwise small answers wait for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print(f"READY {listener.getsockname()[1]}", flush=True)
        config = uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listener])
