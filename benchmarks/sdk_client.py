"""The official SDK's client as a contender, in an event loop of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters

from .measuring import Contender, Sample, Stopwatch


@contextmanager
def kept_session(
    server: str | StdioServerParameters,
) -> Iterator[tuple[asyncio.AbstractEventLoop, Client]]:
    """An open session of the SDK's client, and the event loop that it lives in."""
    ended = asyncio.Event()

    async def hold(opened: asyncio.Future[Client]) -> None:
        async with Client(server) as client:
            opened.set_result(client)
            await ended.wait()

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        opened: asyncio.Future[Client] = loop.create_future()
        holder = loop.create_task(hold(opened))
        try:
            yield loop, loop.run_until_complete(opened)
        finally:
            ended.set()
            loop.run_until_complete(holder)


def awaited(
    name: str,
    loop: asyncio.AbstractEventLoop,
    operation: Callable[[], Awaitable[None]],
    operations: int,
) -> Contender:
    """A contender in an event loop; starting and stopping the loop does not count."""

    async def measured() -> Sample:
        with Stopwatch() as taken:
            await operation()
        return taken.sample

    return Contender(name, lambda: loop.run_until_complete(measured()), operations)
