"""The toolbox on the official Python SDK's 2.x line."""

import asyncio
from typing import Annotated

from mcp.server.caching import CacheHint
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp_types import CreateMessageResult, EmbeddedResource, JSONRPCMessage, ListRootsResult
from pydantic import BaseModel, Field
from toolbox import fill, options, protected, serve

asked = options()
server = MCPServer(
    "Toolbox",
    instructions="Ask it for sums.",
    **protected(asked),
    cache_hints={"tools/list": CacheHint(ttl_ms=60_000, scope="public")},
)
fill(
    server,
    context=Context,
    image=Image,
    resource=EmbeddedResource,
    tool_error=ToolError,
)


class Choice(BaseModel):
    colour: str


class Events(EventStore):
    """Every event of every stream, in memory; an event's id is its number."""

    def __init__(self) -> None:
        self._events: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        self._events.append((stream_id, message))
        return str(len(self._events) - 1)

    async def replay_events_after(
        self, last_event_id: str, send_callback: EventCallback
    ) -> str | None:
        stream, _ = self._events[int(last_event_id)]
        for number, (other, message) in enumerate(self._events):
            if other == stream and number > int(last_event_id) and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


def which_colour() -> Elicit[Choice]:
    return Elicit("Which colour?", Choice)


@server.tool()
def order(choice: Annotated[Choice, Resolve(which_colour)]) -> str:
    """Order a mug in the colour that a person chooses."""
    return f"A {choice.colour} mug."


def a_sample() -> Sample:
    return Sample([], max_tokens=1)


def the_roots() -> ListRoots:
    return ListRoots()


@server.tool()
def sample(answer: Annotated[CreateMessageResult, Resolve(a_sample)]) -> str:
    """Ask the client for its model."""
    return str(answer)


@server.tool()
def roots(answer: Annotated[ListRootsResult, Resolve(the_roots)]) -> str:
    """Ask the client for its roots."""
    return str(answer)


@server.tool()
def ship(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """Ship it there."""
    return f"Shipped to {region}."


@server.tool()
async def restock(ctx: Context) -> str:
    """Say that the tools changed."""
    await ctx.notify_tools_changed()
    return "done"


seen = asyncio.Event()


@server.tool()
async def hang_up(ctx: Context) -> str:
    """Close the stream once the client has seen something of it, and answer all the same."""
    await ctx.report_progress(0)
    await seen.wait()
    await ctx.close_sse_stream()
    return "still here"


@server.tool()
async def see() -> str:
    """Say that the stream of `hang_up` has begun to arrive."""
    seen.set()
    return "seen"


if asked.transport == "stdio":
    server.run("stdio")
elif asked.transport == "sse":
    serve(server.sse_app(), asked)
else:
    events = None if asked.json or asked.stateless else Events()
    serve(
        server.streamable_http_app(
            stateless_http=asked.stateless,
            json_response=asked.json,
            event_store=events,
            retry_interval=100,
        ),
        asked,
    )
