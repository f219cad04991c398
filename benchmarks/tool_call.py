"""(a) One tool call: `MCPClient`, a bare POST of the same bytes, and the official SDK."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import requests
from mcp.client import Client

from automate.models import MCPServer
from automate_llm.http import close_pools
from automate_llm.mcp_client import MCPClient
from automate_llm.transports import jsonrpc

from .children import child
from .measuring import Contender, Results, Sample, Stopwatch, timed
from .report import Benchmark, Goal, Row, row
from .tools import ANSWER, ARGUMENTS

TITLE = "One tool call over a kept connection"
TOOL = "search_0000"
VERSION = "2026-07-28"
BARE = "requests.Session().post, same bytes"
UNTRUSTING = "the same, trust_env off"
OURS = "MCPClient.execute_tool"
OURS_ON_SDK = "MCPClient.execute_tool, SDK server"
KEPT = "SDK client, session kept"
PER_CALL = "SDK client, connects for each call"


@contextmanager
def prepared(quick: bool) -> Iterator[Benchmark]:
    """Two servers of which the clients ask the same."""
    calls = 5 if quick else 100
    with (
        child("benchmarks.cheap_server") as cheap,
        child("benchmarks.asgi_server", "benchmarks.sdk_app:app") as sdk_server,
        _kept_session(f"{sdk_server}/mcp") as (loop, session),
        requests.Session() as trusting,
        requests.Session() as untrusting,
    ):
        untrusting.trust_env = False
        endpoint, sdk = f"{cheap}/mcp/0", f"{sdk_server}/mcp"

        async def kept_call() -> None:
            result = await session.call_tool(TOOL, ARGUMENTS)
            _check(result.content[0].text)  # type: ignore[union-attr]

        async def connected_call() -> None:
            async with Client(sdk) as client:
                result = await client.call_tool(TOOL, ARGUMENTS)
            _check(result.content[0].text)  # type: ignore[union-attr]

        ours = timed(OURS, _execution(endpoint), calls)
        yield Benchmark(
            TITLE,
            [
                timed(BARE, _bare_post(trusting, endpoint), calls),
                timed(UNTRUSTING, _bare_post(untrusting, endpoint), calls),
                ours,
                timed(OURS_ON_SDK, _execution(sdk), calls),
                _awaited(KEPT, loop, kept_call, calls),
                _awaited(PER_CALL, loop, connected_call, max(1, calls // 20)),
            ],
            ours=ours,
            rounds=1 if quick else 15,
            rows=_rows,
        )
    close_pools()


def _rows(results: Results) -> list[Row]:
    ratio = results.cpu_ratio(OURS, BARE)
    kept = results.cpu_ratio(OURS_ON_SDK, KEPT)
    per_call = results.cpu_ratio(OURS_ON_SDK, PER_CALL)
    return [
        row(results, BARE),
        row(results, UNTRUSTING, f"{results.cpu_ratio(UNTRUSTING, BARE):.2f}× POST"),
        row(results, OURS, f"{ratio:.2f}× POST", Goal("≤ 1.25× POST", ratio, 1.25)),
        row(results, KEPT),
        row(results, PER_CALL),
        row(results, OURS_ON_SDK, f"{kept:.2f}× kept, {per_call:.3f}× per call"),
    ]


def _execution(endpoint: str) -> Callable[[], None]:
    server = MCPServer(
        slug="shop",
        endpoint_url=endpoint,
        settled_protocol="mcp",
        protocol_version=VERSION,
    )
    client = MCPClient(server)
    return lambda: _check(client.execute_tool(TOOL, ARGUMENTS))


def _bare_post(session: requests.Session, endpoint: str) -> Callable[[], None]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "django-automate", "version": "0.1.0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": TOOL, "arguments": ARGUMENTS, "_meta": meta}
    body = jsonrpc.encoded("tools/call", params, jsonrpc.next_id())
    headers = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "User-Agent": "django-automate",
        "MCP-Protocol-Version": VERSION,
        "Mcp-Method": "tools/call",
        "Mcp-Name": TOOL,
    }

    def post() -> None:
        answer = session.post(endpoint, data=body, headers=headers)
        if answer.status_code != 200 or not answer.content:
            raise RuntimeError(f"HTTP {answer.status_code}")

    return post


@contextmanager
def _kept_session(url: str) -> Iterator[tuple[asyncio.AbstractEventLoop, Client]]:
    """An open session of the SDK's client, and the event loop that it lives in."""
    ended = asyncio.Event()

    async def hold(opened: asyncio.Future[Client]) -> None:
        async with Client(url) as client:
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


def _awaited(
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


def _check(answer: object) -> None:
    if answer != ANSWER:
        raise RuntimeError(f"unexpected answer {answer!r}")
