"""`python -m benchmarks.peers`: turns a second at concurrency 32, against what others build with.

Every turn makes three tool calls in a row and then answers: four streamed requests to one scripted
model, three calls to one MCP server on the official SDK, which offers 20 tools. All contenders are
processes of their own, which take turns, round by round.

Where the system may choose, it moves the threads of a process from core to core, which costs those
that have many. `--one-core` takes that choice away from all of them alike.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.children import child
from benchmarks.report import aligned
from benchmarks.tools import ARGUMENTS

from .contenders.pacing import CONCURRENCY
from .installation import PeerMissing, folder, install, python_of, release_of

PEERS = {
    "openai_agents": ("openai-agents",),
    "pydantic_ai": ("pydantic-ai-slim",),
    "langchain": ("langchain-mcp-adapters", "langgraph"),
}
FLOORS = {
    "bare_sdk": "openai SDK and MCP SDK in a loop, nothing stored",
    "bare_loop": "bare HTTP and JSON in threads, nothing stored",
}
OURS = "ours"
GOAL = 4.0
_ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Contender:
    """A process that runs turns, and what it took in each round, in seconds of one turn."""

    name: str
    title: str
    process: subprocess.Popen[str]
    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)

    def run(self, turns: int, *, counts: bool = True) -> None:
        """Have it run so many turns."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{turns}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended in the middle of its turns")
        if counts:
            taken = json.loads(line)
            self.walls.append(taken["wall"] / turns)
            self.cpus.append(taken["cpu"] / turns)

    def cells(self, ours: "Contender") -> tuple[str, ...]:
        rates = [theirs / own for own, theirs in zip(ours.walls, self.walls, strict=True)]
        compared = "" if self is ours else f"{median(rates):.1f}x"
        cpu = f"{median(self.cpus) * 1000:.1f}"
        return self.title, f"{1 / median(self.walls):.1f}", cpu, compared


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--install", action="store_true", help="fetch the peers, and end")
    parser.add_argument("--turns", type=int, default=96, help="in each round of each contender")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--one-core",
        action="store_true",
        help="hold every contender to one core, and the servers to the others (Linux)",
    )
    chosen = parser.parse_args()
    if chosen.one_core and len(_cores()) < 2:
        parser.error("--one-core needs a system that can hold a process to one of several cores")
    try:
        if chosen.install:
            for name in install():
                print(f"installed {name}", flush=True)
            print(f"Every peer is in {folder()}.")
            return 0
        _run(chosen.turns, chosen.rounds, one_core=chosen.one_core)
    except PeerMissing as exc:
        print(exc, file=sys.stderr)
        return 2
    return 0


def _cores() -> list[int]:
    """Those that this process may be held to."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _run(turns: int, rounds: int, *, one_core: bool) -> None:
    core = None
    if one_core:
        core, *others = _cores()
        os.sched_setaffinity(0, others)  # and what it starts
    with ExitStack() as running:
        model = running.enter_context(
            child(
                "tests.servers.scripted_model",
                *("--script", "three_calls", "--arguments", json.dumps(ARGUMENTS)),
            )
        )
        shop = running.enter_context(child("benchmarks.asgi_server", "benchmarks.sdk_app:app"))
        where = model, f"{shop}/mcp"
        contenders = [
            running.enter_context(contender(name, title, python, where, core))
            for name, title, python in _programs()
        ]
        for each in contenders:
            each.run(CONCURRENCY, counts=False)
        for number in range(rounds):
            start = number % len(contenders)
            for each in (*contenders[start:], *contenders[:start]):
                each.run(turns)
    for line in _table(contenders):
        print(line)


def _programs() -> Iterator[tuple[str, str, str]]:
    yield OURS, "this project, everything stored", sys.executable
    for name, packages in PEERS.items():
        title = ", ".join(f"{package} {release_of(name, package)}" for package in packages)
        yield name, title, python_of(name)
    for name, title in FLOORS.items():
        yield name, title, sys.executable


@contextmanager
def contender(
    name: str, title: str, python: str, where: tuple[str, str], core: int | None
) -> Iterator[Contender]:
    """Its process, while the block lasts; held to one core where one is named."""
    process = subprocess.Popen(
        [python, "-m", f"benchmarks.peers.contenders.{name}", *where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
    )
    if core is not None:
        os.sched_setaffinity(process.pid, [core])  # before it has any thread but its first
    try:
        if process.stdout is None or process.stdout.readline() != "READY\n":
            raise RuntimeError(f"{name} could not begin")
        yield Contender(name, title, process)
    finally:
        process.terminate()
        process.communicate()


def _table(contenders: list[Contender]) -> Iterator[str]:
    ours = next(each for each in contenders if each.name == OURS)
    head = ("", "turns a second", "CPU ms a turn", "ours is")
    yield from aligned([head, *(each.cells(ours) for each in contenders)])
    best = min(
        median(theirs / own for own, theirs in zip(ours.walls, each.walls, strict=True))
        for each in contenders
        if each.name in PEERS
    )
    verdict = "met" if best >= GOAL else "MISSED"
    yield f"\nAgainst the best of the peers: {best:.1f}x (goal: {GOAL:g}x, {verdict})"


if __name__ == "__main__":
    sys.exit(main())
