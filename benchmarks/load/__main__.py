"""`python -m benchmarks.load`: a thousand streamed turns at once, and two hundred idle streams.

One web process (uvicorn), one worker (Celery, threads), PostgreSQL and Redis, a model that sends
each stream its words at an even pace, and browsers that read them. Linux only.
"""

import argparse
import os
import platform
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import quantiles

from tests.servers.redis import RedisServer

from . import site
from .browsers import Browsers
from .processes import CPU, Process, process

DATABASE = "postgresql://postgres@127.0.0.1:5432/automate_load"
WEB = ("benchmarks.asgi_server", "config.asgi:application")


def main() -> None:
    chosen = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the children are then ended, too
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores", flush=True)
    with RedisServer() as redis:
        site.set_up(chosen.database, redis.url)
        failed = _streams(chosen.turns, chosen.words, chosen.a_second)
        if not chosen.only_turns:
            failed |= _idle(chosen.idle, chosen.tools)
    sys.exit(failed and not chosen.quick)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--turns", type=int, default=1_000)
    parser.add_argument("--words", type=int, default=200, help="of each answer")
    parser.add_argument("--a-second", type=float, default=20.0, help="words of one answer")
    parser.add_argument("--idle", type=int, default=200, help="idle streams")
    parser.add_argument("--tools", type=int, default=1_000, help="tools enabled meanwhile")
    parser.add_argument("--quick", action="store_true", help="few and short: shows that it runs")
    parser.add_argument("--only-turns", action="store_true", help="no idle streams")
    parser.add_argument("--database", default=os.environ.get("LOAD_DATABASE_URL", DATABASE))
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.turns, chosen.words, chosen.idle, chosen.tools = 50, 100, 20, 100
    return chosen


def _streams(turns: int, words: int, a_second: float) -> bool:
    with ExitStack() as running:
        model = running.enter_context(
            process(
                "benchmarks.load.model", "--words", words, "--a-second", a_second, "--gate", turns
            )
        )
        model_url = model.address()
        web = running.enter_context(process(*WEB, OPENAI_BASE_URL=model_url))
        worker = running.enter_context(
            process(
                *("celery", "-A", "config", "worker", "--pool", "threads", "--loglevel", "ERROR"),
                *("--concurrency", turns, "--without-gossip", "--without-mingle", "-Q", "celery"),
                OPENAI_BASE_URL=model_url,
            )
        )
        browsers = Browsers(web.address())
        asked = site.ask(turns)
        began = time.monotonic()
        browsers.open(asked)
        opened = time.monotonic() - began
        watch = _Watch(web)
        threading.Thread(target=site.submit, args=(asked,)).start()
        began = time.monotonic()
        first = browsers.read_until(lambda: any(each.delays for each in browsers.all), 180)
        waited = time.monotonic() - began
        cpu = CPU(model=model, web=web, worker=worker)
        mine = time.process_time()
        seconds = words / a_second
        browsers.read_until(lambda: time.monotonic() - began > waited + seconds + 0.5, 600)
        used = cpu.so_far() | {"browsers": (time.process_time() - mine) / seconds}
        came = browsers.read_until(lambda: not browsers.still_open, 300)
        ended = time.monotonic() - began - waited - seconds
        watch.stop()
        whole = sum(each.words == words and each.status == "done" for each in browsers.all)
        delays = list(browsers.delays())
        print(f"\n{turns:,} streamed turns at once, {words} words each, {a_second:g} a second\n")
        print(f"streams opened in                {opened:.1f} s")
        print(f"all turns at the model in        {waited:.1f} s")
        print(f"last turn ended after its text   {ended:.1f} s")
        print(
            "cores meanwhile                  " + ", ".join(f"{n} {v:.2f}" for n, v in used.items())
        )
        print(f"worker's peak memory             {worker.peak_megabytes():.0f} MB")
        lost = turns - whole
        verdicts = [
            _verdict("turns lost", lost, 0),
            _verdict("words seen while streamed, %", 100 * len(delays) / (turns * words), None),
        ]
        if delays:
            print(f"p95 by the second, ms            {_by_second(delays)}")
            cuts = quantiles([delay for _, delay in delays], n=100)
            verdicts += [
                _verdict("delay of a word, median, ms", cuts[49], None),
                _verdict("delay of a word, p95, ms", cuts[94], 250),
                _verdict("delay of a word, p99, ms", cuts[98], None),
                _verdict("delay of a word, longest, ms", max(delay for _, delay in delays), None),
            ]
        verdicts += [
            _verdict("web process, MB", web.peak_megabytes(), 300),
            _verdict("database connections", watch.most_connections, 20),
        ]
        if not (first and came):
            print(f"NOT FINISHED: {site.unfinished()}")
        browsers.close()
    if lost:
        sys.exit(f"{lost} turns were lost")
    return not all(verdicts)


def _by_second(delays: Sequence[tuple[int, int]]) -> str:
    """The 95th percentile of what was sent in the first second, in the next one, and so on."""
    first = min(sent for sent, _ in delays)
    seconds: defaultdict[int, list[int]] = defaultdict(list)
    for sent, delay in delays:
        seconds[(sent - first) // 1_000].append(delay)
    enough = (seconds[each] for each in sorted(seconds) if len(seconds[each]) >= 100)
    return " ".join(f"{quantiles(each, n=20)[-1]:.0f}" for each in enough)


class _Watch:
    """Looks at the database's connections from time to time."""

    def __init__(self, web: Process) -> None:
        self.most_connections = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        from django.db import connection

        while not self._end.wait(0.25):
            # This process has two more: the one that asks, and its main thread's.
            self.most_connections = max(self.most_connections, site.connections_in_use())
        connection.close()


def _idle(streams: int, tools: int) -> bool:
    with ExitStack() as running:
        cheap = running.enter_context(process("benchmarks.cheap_server", "--tools", tools))
        _register(f"{cheap.address()}/mcp/0")
        web = running.enter_context(process(*WEB))
        address = web.address()
        warm = Browsers(address)
        warm.open(site.ask(20))
        warm.close()
        time.sleep(1)
        before = web.megabytes()
        browsers = Browsers(address)
        browsers.open(site.ask(streams))
        browsers.read_until(lambda: False, 3)
        each = (web.megabytes() - before) * 1024 / streams
        print(f"\n{streams} idle streams, {tools:,} tools enabled\n")
        fits = _verdict("memory of one, kB", each, 100)
        kept = _verdict("streams that were closed", streams - browsers.still_open, 0)
        browsers.close()
    return not (fits and kept)


def _register(address: str) -> None:
    from automate.models import MCPServer
    from automate.sync import sync_server

    server = MCPServer.objects.create(name="Shop", slug="shop", endpoint_url=address)
    if error := sync_server(server).error:
        raise RuntimeError(error)


def _verdict(name: str, value: float, limit: float | None) -> bool:
    words = "" if limit is None else f"goal ≤ {limit:g}: {'met' if value <= limit else 'MISSED'}"
    print(f"{name:32} {value:,.1f}  {words}".rstrip(), flush=True)
    return limit is None or value <= limit


if __name__ == "__main__":
    main()
