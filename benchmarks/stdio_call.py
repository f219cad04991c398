"""(g) One tool call over a kept process: `MCPClient`, and the official SDK's kept session."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mcp.client.stdio import StdioServerParameters

from automate_llm.mcp_client import MCPClient
from automate_llm.processes import end_all_processes
from automate_llm.values import Connection, StdioCommand

from .measuring import Results, timed
from .report import Benchmark, Row, row
from .sdk_client import awaited, kept_session
from .tool_call import check
from .tools import ARGUMENTS

TITLE = "One tool call over the standard streams of a kept process"
TOOL = "search_0000"
OURS = "MCPClient.execute_tool"
KEPT = "SDK client, session kept"

_PROJECT = Path(__file__).resolve().parent.parent
_ARGUMENTS = ("-m", "benchmarks.cheap_stdio")


@contextmanager
def prepared(quick: bool) -> Iterator[Benchmark]:
    """The same program twice, one process for each client."""
    calls = 5 if quick else 100
    parameters = StdioServerParameters(
        command=sys.executable, args=list(_ARGUMENTS), cwd=str(_PROJECT)
    )
    command = StdioCommand((sys.executable, *_ARGUMENTS), cwd=str(_PROJECT))
    client = MCPClient(Connection("shop", "stdio:shop", command=command))
    with kept_session(parameters) as (loop, session):

        async def kept_call() -> None:
            result = await session.call_tool(TOOL, ARGUMENTS)
            check(result.content[0].text)  # type: ignore[union-attr]

        ours = timed(OURS, lambda: check(client.execute_tool(TOOL, ARGUMENTS)), calls)
        yield Benchmark(
            TITLE,
            [awaited(KEPT, loop, kept_call, calls), ours],
            ours=ours,
            rounds=1 if quick else 15,
            rows=_rows,
        )
    end_all_processes()


def _rows(results: Results) -> list[Row]:
    ratio = results.cpu_ratio(OURS, KEPT)
    return [row(results, KEPT), row(results, OURS, f"{ratio:.2f}× SDK")]
