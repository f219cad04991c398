"""(h) Many threads that call several servers at once, next to one thread."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median, quantiles

from automate_llm.http import close_pools

from .children import child
from .measuring import Contender, Results, Sample, Stopwatch
from .report import Benchmark, Goal, Row, row
from .tool_call import execution

THREADS = 64
SERVERS = 8
DELAY = 0.05
ONE = "one thread, one server after the other"
MANY = f"{THREADS} threads at once"


@contextmanager
def prepared(quick: bool) -> Iterator[Benchmark]:
    """Servers whose tool takes a while: a lock over that wait would show at once."""
    each = 2 if quick else 20
    with (
        child("benchmarks.cheap_server", "--servers", SERVERS, "--delay", DELAY) as cheap,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        calls = [execution(f"{cheap}/mcp/{number}") for number in range(SERVERS)]
        one, many = _Walls(), _Walls()

        def alone() -> Sample:
            return one.measured(lambda: list(map(one.timed, calls)), SERVERS)

        def together() -> Sample:
            work = calls * (THREADS // SERVERS) * each
            return many.measured(lambda: list(pool.map(many.timed, work)), len(work))

        ours = Contender(MANY, together)
        yield Benchmark(
            f"{THREADS} threads call {SERVERS} servers whose tool takes {DELAY * 1000:.0f} ms; "
            "times are those of a call",
            [Contender(ONE, alone), ours],
            ours=ours,
            rounds=1 if quick else 15,
            rows=lambda results: _rows(results, one, many),
        )
    close_pools()


class _Walls:
    """How long each call took, from the calling thread's point of view."""

    def __init__(self) -> None:
        self._p95: list[float] = []
        self._seconds: list[float] = []

    def timed(self, call: Callable[[], None]) -> None:
        began = time.perf_counter()
        call()
        self._seconds.append(time.perf_counter() - began)

    def measured(self, work: Callable[[], object], calls: int) -> Sample:
        """The share of each of the calls in the CPU and the wall time of all."""
        self._seconds.clear()
        with Stopwatch() as taken:
            work()
        self._p95.append(quantiles(self._seconds, n=20)[-1])
        return Sample(taken.sample.cpu / calls, taken.sample.wall / calls)

    @property
    def p95(self) -> float:
        """The 95th percentile, median over the rounds."""
        return median(self._p95)


def _rows(results: Results, one: _Walls, many: _Walls) -> list[Row]:
    share = results.wall(MANY) / results.wall(ONE)
    # A lock of a server's own would let only as many calls wait as there are servers.
    goal = Goal(f"≥ {2 * SERVERS}× one thread", share, 1 / (2 * SERVERS))
    return [
        row(results, ONE, _said(results, ONE, one)),
        row(results, MANY, f"{_said(results, MANY, many)}, {1 / share:.0f}×", goal),
    ]


def _said(results: Results, name: str, walls: _Walls) -> str:
    return f"{1 / results.wall(name):,.0f} calls/s, p95 {walls.p95 * 1000:.0f} ms"
