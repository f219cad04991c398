"""(b) A whole turn with three tool calls in a row, and the SDK's four requests without them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from automate.catalog import catalog_for
from automate.conf import conf
from automate_llm.http import close_pools
from chat.engine import run_turn
from chat.models import ToolCall, Turn

from . import bare_model, site
from .children import child
from .measuring import Contender, Results, Sample, Stopwatch
from .report import Benchmark, Goal, Row, row
from .tools import ANSWER, ARGUMENTS

TOOLS = 20
TITLE = f"A turn with three tool calls in a row, {TOOLS} tools enabled"
BARE = "openai SDK: the same four streams, nothing else"
OURS = "run_turn: streams, calls, everything stored"


@contextmanager
def prepared(quick: bool) -> Iterator[Benchmark]:
    """A model that calls three times and then answers; its tools are really called."""
    script = ("--script", "three_calls", "--arguments", json.dumps(ARGUMENTS))
    with (
        child("benchmarks.cheap_server", "--tools", TOOLS) as cheap,
        child("tests.servers.scripted_model", *script) as model_url,
        site.model_at(model_url),
        bare_model.client(model_url) as client,
    ):
        site.register(f"{cheap}/mcp/0")
        tools = json.loads(catalog_for(site.person()).definitions)

        def sdk() -> Sample:
            with Stopwatch() as taken:
                bare_model.conversation(client, conf().SYSTEM_PROMPT, tools, answer=ANSWER)
            return taken.sample

        ours = Contender(OURS, _turn, operations=1 if quick else 3)
        yield Benchmark(
            TITLE,
            [Contender(BARE, sdk, operations=ours.operations), ours],
            ours=ours,
            rounds=2 if quick else 15,
            rows=_rows,
        )
    close_pools()


def _rows(results: Results) -> list[Row]:
    ratio = results.cpu_ratio(OURS, BARE)
    return [
        row(results, BARE),
        row(results, OURS, f"{ratio:.2f}× SDK", Goal("≤ 0.7× SDK", ratio, 0.7)),
    ]


def _turn() -> Sample:
    turn = site.asked_turn()
    with Stopwatch() as taken:
        run_turn(turn.pk)
    turn.refresh_from_db()
    succeeded = turn.tool_calls.filter(status=ToolCall.Status.SUCCEEDED).count()
    if turn.status != Turn.Status.DONE or succeeded != 3:
        raise RuntimeError(f"the turn ended {turn.status}, {succeeded} calls, {turn.notice!r}")
    return taken.sample
