"""(e) A sync of many tools: the first one, one that finds nothing changed, and the bare reading."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests

from automate.models import MCPServer, MCPTool
from automate.sync import sync_servers
from automate_llm.http import close_pools

from .children import child
from .measuring import Contender, Results, Sample, Stopwatch, timed
from .report import Benchmark, Goal, Row, row

BARE = "requests: the same lists read and parsed, nothing else"
FIRST = "sync_servers, first time"
UNCHANGED = "sync_servers, nothing changed"


@contextmanager
def prepared(quick: bool) -> Iterator[Benchmark]:
    """Half of the servers speak MCP, half the simple HTTP dialect; the sync finds out which."""
    servers, tools = (4, 25) if quick else (50, 200)
    with (
        child("benchmarks.cheap_server", "--servers", servers, "--tools", tools) as cheap,
        requests.Session() as session,
    ):
        dialects = ["mcp" if number % 2 else "rest" for number in range(servers)]
        urls = [f"{cheap}/{dialect}/{number}" for number, dialect in enumerate(dialects)]
        MCPServer.objects.all().delete()

        def read() -> None:
            for url in urls:
                if "/rest/" in url:
                    answer = session.get(f"{url}/tools")
                else:
                    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
                    answer = session.post(url, json=message)
                answer.json()

        def first() -> Sample:
            MCPServer.objects.all().delete()
            MCPServer.objects.bulk_create(
                MCPServer(name=url, slug=f"server-{number}", endpoint_url=url)
                for number, url in enumerate(urls)
            )
            return _sync(expected=servers * tools)

        ours = Contender(FIRST, first)
        yield Benchmark(
            f"Sync of {servers * tools:,} tools over {servers} servers, SQLite",
            [
                timed(BARE, read),
                ours,
                Contender(UNCHANGED, lambda: _sync(expected=servers * tools)),
            ],
            ours=ours,
            rounds=1 if quick else 5,
            rows=_rows,
        )
    close_pools()


def _rows(results: Results) -> list[Row]:
    first, unchanged = results.wall(FIRST), results.wall(UNCHANGED)
    return [
        row(results, BARE),
        row(
            results,
            FIRST,
            f"{results.cpu_ratio(FIRST, BARE):.1f}× reading",
            Goal("≤ 2 s wall", first, 2.0),
        ),
        row(
            results,
            UNCHANGED,
            f"{results.cpu_ratio(UNCHANGED, BARE):.1f}× reading",
            Goal("≤ 0.3 s wall", unchanged, 0.3),
        ),
    ]


def _sync(expected: int) -> Sample:
    servers = list(MCPServer.objects.order_by("pk"))
    with Stopwatch() as taken:
        reports = sync_servers(servers)
    if errors := [report.error for report in reports if report.error]:
        raise RuntimeError(errors[0])
    if (stored := MCPTool.objects.usable().count()) != expected:
        raise RuntimeError(f"{stored} tools are usable")
    return taken.sample
