"""(a) One tool call: `MCPClient`, a bare POST of the same bytes, and the official SDK."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import requests
from mcp.client import Client

from automate.models import MCPServer
from automate_llm.http import close_pools
from automate_llm.mcp_client import MCPClient
from automate_llm.transports import jsonrpc

from .children import child
from .measuring import Results, timed
from .report import Benchmark, Goal, Row, row
from .sdk_client import awaited, kept_session
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
        kept_session(f"{sdk_server}/mcp") as (loop, session),
        requests.Session() as trusting,
        requests.Session() as untrusting,
    ):
        untrusting.trust_env = False
        endpoint, sdk = f"{cheap}/mcp/0", f"{sdk_server}/mcp"

        async def kept_call() -> None:
            result = await session.call_tool(TOOL, ARGUMENTS)
            check(result.content[0].text)  # type: ignore[union-attr]

        async def connected_call() -> None:
            async with Client(sdk) as client:
                result = await client.call_tool(TOOL, ARGUMENTS)
            check(result.content[0].text)  # type: ignore[union-attr]

        ours = timed(OURS, execution(endpoint), calls)
        yield Benchmark(
            TITLE,
            [
                timed(BARE, bare_post(trusting, endpoint), calls),
                timed(UNTRUSTING, bare_post(untrusting, endpoint), calls),
                ours,
                timed(OURS_ON_SDK, execution(sdk), calls),
                awaited(KEPT, loop, kept_call, calls),
                awaited(PER_CALL, loop, connected_call, max(1, calls // 20)),
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


def execution(endpoint: str, protocol: str = "mcp", version: str = VERSION) -> Callable[[], None]:
    """A call of our client's, as a chat makes it: what a sync settled is stored on the row."""
    server = MCPServer(
        slug="shop",
        endpoint_url=endpoint,
        settled_protocol=protocol,
        protocol_version=version,
    )
    client = MCPClient(server)
    return lambda: check(client.execute_tool(TOOL, ARGUMENTS))


def bare_post(session: requests.Session, endpoint: str) -> Callable[[], None]:
    """A request with the same bytes, whose answer is not even parsed."""
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


def check(answer: object) -> None:
    """Raise unless the server answered what it always does."""
    if answer != ANSWER:
        raise RuntimeError(f"unexpected answer {answer!r}")
