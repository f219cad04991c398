"""How a contender is told to run turns. Needs the standard library alone.

It prints `READY`; for each line with a number it runs so many turns, `CONCURRENCY` at a time, and
answers with a line of JSON: `wall` and `cpu`, in seconds.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

CONCURRENCY = 32
QUESTION = "How many blue mugs are in stock?"
SYSTEM_PROMPT = "You are a helpful assistant of a shop. Use the tools for every question on stock."
END_OF_ANSWER = "come"
"""What the scripted answer ends with; it comes only after three answers of tools."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the model and the MCP server are."""

    model: str
    mcp: str


def addresses() -> Addresses:
    """What the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("mcp")
    chosen = parser.parse_args()
    return Addresses(chosen.model, chosen.mcp)


def expect_answer(text: object) -> None:
    """Fail where a turn did not come to its end."""
    if not str(text).rstrip().endswith(END_OF_ANSWER):
        raise RuntimeError(f"a turn ended with {text!r}")


def _say(**facts: float) -> None:
    print(json.dumps(facts) if facts else "READY", flush=True)


async def serve(turn: Callable[[], Awaitable[None]]) -> None:
    """Run turns in an event loop."""
    loop, places = asyncio.get_running_loop(), asyncio.Semaphore(CONCURRENCY)

    async def in_place() -> None:
        async with places:
            await turn()

    _say()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        wall, cpu = time.perf_counter(), time.process_time()
        async with asyncio.TaskGroup() as group:
            for _ in range(int(line)):
                group.create_task(in_place())
        _say(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)


def serve_in_threads(turn: Callable[[], None], check: Callable[[], None] = lambda: None) -> None:
    """Run turns in threads; `check` looks at what a round has stored, once its time was taken."""
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        _say()
        for line in sys.stdin:
            wall, cpu = time.perf_counter(), time.process_time()
            for done in [pool.submit(turn) for _ in range(int(line))]:
                done.result()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            check()
            _say(wall=wall, cpu=cpu)
