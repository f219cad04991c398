"""(i) A turn with five tool calls at once, each of 100 ms, and a bare loop that makes the same."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from automate.catalog import catalog_for
from automate.conf import conf
from automate_llm.http import close_pools
from chat.engine import run_turn
from chat.models import ToolCall, Turn

from . import bare_model, site
from .children import child
from .measuring import Contender, Results, Sample, Stopwatch, timed
from .report import Benchmark, Goal, Row, row
from .tools import ANSWER, ARGUMENTS

CALLS = 5
DELAY = 0.1
LIMIT_MS = 120.0
BARE = "bare HTTP and JSON: two requests, five calls in threads"
OURS = "run_turn: the same, everything stored"


@contextmanager
def prepared(quick: bool) -> Iterator[Benchmark]:
    """A model that asks for five calls in one answer, and a server whose tool takes its time."""
    with (
        child("benchmarks.cheap_server", "--delay", DELAY) as cheap,
        child("benchmarks.model_of_many_calls", CALLS) as model_url,
        site.model_at(model_url),
        ThreadPoolExecutor(CALLS) as pool,
    ):
        site.register(f"{cheap}/mcp/0")
        tools = json.loads(catalog_for(site.person()).definitions)
        loop = _BareLoop(model_url, f"{cheap}/mcp/0", pool, tools)
        ours = Contender(OURS, _turn)
        yield Benchmark(
            f"A turn with {CALLS} tool calls at once, each of {DELAY * 1000:.0f} ms",
            [timed(BARE, loop.turn), ours],
            ours=ours,
            rounds=2 if quick else 25,
            rows=_rows,
        )
    close_pools()


def _rows(results: Results) -> list[Row]:
    wall = results.wall(OURS) * 1000
    extra = results.extra_wall(OURS, BARE) * 1000
    goal = Goal(f"≤ {LIMIT_MS:.0f} ms wall", wall, LIMIT_MS)
    return [row(results, BARE), row(results, OURS, f"{extra:+.1f} ms", goal)]


def _turn() -> Sample:
    turn = site.asked_turn()
    with Stopwatch() as taken:
        run_turn(turn.pk)
    turn.refresh_from_db()
    succeeded = turn.tool_calls.filter(status=ToolCall.Status.SUCCEEDED).count()
    if turn.status != Turn.Status.DONE or succeeded != CALLS:
        raise RuntimeError(f"the turn ended {turn.status}, {succeeded} calls, {turn.notice!r}")
    return taken.sample


class _BareLoop:
    """Two requests over one kept connection, the calls over one for each thread."""

    def __init__(
        self, model_url: str, mcp_url: str, pool: ThreadPoolExecutor, tools: list[Any]
    ) -> None:
        self._model, self._mcp, self._pool = urlsplit(model_url), urlsplit(mcp_url), pool
        self._asking = HTTPConnection(self._model.netloc)
        self._calling = [HTTPConnection(self._mcp.netloc) for _ in range(CALLS)]
        self._tools = tools

    def turn(self) -> None:
        messages = bare_model.opening(conf().SYSTEM_PROMPT)
        calls = self._asked(messages)
        if len(list(self._pool.map(self._called, self._calling, calls))) != CALLS:
            raise RuntimeError(f"the model asked for {len(calls)} calls")
        messages.append({"role": "assistant", "content": None, "tool_calls": calls})
        for call in calls:
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": ANSWER})
        self._asked(messages)

    def _asked(self, messages: bare_model.Messages) -> list[Any]:
        request = {"model": "x", "messages": messages, "tools": self._tools, "stream": True}
        path = f"{self._model.path}/chat/completions"
        self._asking.request("POST", path, json.dumps(request))
        calls: list[Any] = []
        for line in self._asking.getresponse():
            if line.startswith(b"data: {"):
                chunk = json.loads(line[6:])
                delta = chunk["choices"][0]["delta"] if chunk["choices"] else {}
                for part in delta.get("tool_calls") or ():
                    if part.get("id"):
                        calls.append({**part, "function": {**part["function"], "arguments": ""}})
                    calls[-1]["function"]["arguments"] += part["function"].get("arguments") or ""
        return calls

    def _called(self, connection: HTTPConnection, call: Any) -> None:
        arguments = json.loads(call["function"]["arguments"])
        if arguments["query"] == ARGUMENTS["query"]:
            raise RuntimeError("the calls are not told apart")
        message = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "search_0000", "arguments": arguments},
        }
        connection.request("POST", self._mcp.path, json.dumps(message))
        json.loads(connection.getresponse().read())["result"]
