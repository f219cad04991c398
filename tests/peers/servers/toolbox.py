"""The tools that every Python peer offers, and how one of them is served.

Run in environments that hold one SDK each and nothing of ours.
"""

import argparse
import base64
import os
import socket
from collections.abc import Callable
from typing import Any

import anyio
import uvicorn
from guard import Gate, own_settings
from pydantic import BaseModel

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Size(BaseModel):
    """How large something is."""

    word: str


class Parcel(BaseModel):
    """What has a schema that refers to another."""

    size: Size


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
    def wrap(parcel: Parcel) -> str:
        """Wrap a parcel."""
        return parcel.size.word

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
    parser.add_argument("--issuer", help="take this authorization server's tokens only")
    parser.add_argument("--gate", action="store_true", help="not by the SDK's own means")
    parser.add_argument("--bound", action="store_true", help="and those bound to a key")
    parser.add_argument("--path", default="/mcp")
    asked = parser.parse_args()
    asked.url = f"http://127.0.0.1:{os.environ.get('PORT', '0')}{asked.path}"
    return asked


def protected(asked: argparse.Namespace) -> dict[str, Any]:
    """What the SDK's own server is given, so that it takes tokens only."""
    if not asked.issuer or asked.gate:
        return {}
    return own_settings(asked.issuer, asked.url)


def serve(application: Callable[..., Any], asked: argparse.Namespace) -> None:
    """Serve an ASGI application on a port of its own, and say which."""
    if asked.gate:
        application = Gate(application, asked.issuer, asked.url, bound=asked.bound)
    port = int(os.environ["PORT"]) if asked.issuer else 0
    with socket.create_server(("127.0.0.1", port)) as listener:
        # Accepted sockets inherit it; otherwise small answers wait for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print(f"READY {listener.getsockname()[1]}", flush=True)
        config = uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listener])
