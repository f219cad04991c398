"""`python -m benchmarks`: run the benchmarks and print their tables."""

import argparse
import cProfile
import importlib
import importlib.metadata
import os
import platform
import pstats
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from . import site
from .measuring import Stopwatch, interleaved
from .report import Benchmark, table

MODULES = {
    "a": "tool_call",
    "b": "turn",
    "c": "first_token",
    "d": "first_request",
    "e": "syncing",
    "f": "versions",
    "g": "stdio_call",
    "h": "many_threads",
    "i": "five_calls",
}
PROFILE_LINES = 15


def main() -> None:
    options = _options()
    print(_machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="automate-benchmarks-") as directory:
        site.set_up(Path(directory))
        for letter in [options.profile] if options.profile else options.only:
            with _prepared(letter)(options.quick) as benchmark:
                if options.profile:
                    _profile(benchmark)
                else:
                    for line in _lines(letter, benchmark, options.rounds):
                        print(line, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", type=_letters, default=list(MODULES), metavar="a,b", help="these, not all"
    )
    parser.add_argument("--rounds", type=int, help="rounds, for more or less certainty")
    parser.add_argument("--quick", action="store_true", help="few and small: shows that it runs")
    parser.add_argument("--profile", choices=list(MODULES), help="profile our side of this one")
    return parser.parse_args()


def _letters(text: str) -> list[str]:
    letters = text.split(",")
    if unknown := [letter for letter in letters if letter not in MODULES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(MODULES)}")
    return letters


def _prepared(letter: str) -> Callable[[bool], AbstractContextManager[Benchmark]]:
    module = importlib.import_module(f".{MODULES[letter]}", __package__)
    prepared: Callable[[bool], AbstractContextManager[Benchmark]] = module.prepared
    return prepared


def _lines(letter: str, benchmark: Benchmark, rounds: int | None) -> Iterator[str]:
    results = interleaved(benchmark.contenders, rounds or benchmark.rounds)
    yield f"\n({letter}) {benchmark.title}\n"
    yield from table(benchmark.rows(results))
    if benchmark.note:
        yield f"\n{benchmark.note}"


def _machine() -> str:
    versions = [
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        *(f"{name} {importlib.metadata.version(name)}" for name in ("Django", "openai", "mcp")),
        f"{os.cpu_count()} cores",
        platform.platform(terse=True),
    ]
    return ", ".join(versions)


def _profile(benchmark: Benchmark) -> None:
    benchmark.ours.measure()
    # CPU, as in the tables: waiting for a peer would stand above all else.
    profile = Stopwatch.profile = cProfile.Profile(time.process_time)
    for _ in range(benchmark.rounds * benchmark.ours.operations):
        benchmark.ours.measure()
    Stopwatch.profile = None
    pstats.Stats(profile, stream=sys.stdout).strip_dirs().sort_stats("tottime").print_stats(
        PROFILE_LINES
    )


if __name__ == "__main__":
    main()
