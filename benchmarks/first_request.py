"""(d) What a turn costs up to its first model request, by the number of enabled tools."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from openai import OpenAI

from automate.catalog import catalog_for
from automate.conf import conf
from automate.models import MCPTool
from automate_llm.cancellation import Cancellation
from automate_llm.http import close_pools
from automate_llm.providers.base import Completed, ModelProvider, ModelRequest, OnText
from chat.engine import run_turn
from chat.language_models import provider_for
from chat.models import Turn

from . import bare_model, site
from .children import child
from .measuring import Contender, Results, Sample, Stopwatch
from .report import Benchmark, Goal, Row, row

TITLE = "From a turn's start to the model's first text, nothing changed since the last turn"
LIMIT_MS = 3.0


@contextmanager
def prepared(quick: bool) -> Iterator[Benchmark]:
    """As many tools as the largest turn takes; each contender enables those that it needs."""
    counts = (10, 100) if quick else (10, 100, 1_000)
    with ExitStack() as running:
        cheap = running.enter_context(child("benchmarks.cheap_server", "--tools", counts[-1]))
        model_url = running.enter_context(child("tests.servers.scripted_model", "--tokens", 3))
        running.enter_context(site.model_at(model_url))
        client = running.enter_context(bare_model.client(model_url))
        site.register(f"{cheap}/mcp/0")
        sides = [(_sdk(client, count), _ours(count)) for count in counts]
        yield Benchmark(
            TITLE,
            [each for side in sides for each in side],
            ours=sides[-1][1],
            rounds=2 if quick else 15,
            rows=lambda results: _rows(results, counts),
            note="The request is sent and its first text is read in both; the database is read, "
            "the turn is claimed and its messages are built in ours only.",
        )
    close_pools()


def _rows(results: Results, counts: tuple[int, ...]) -> list[Row]:
    rows = []
    for count in counts:
        sdk, ours = _sdk_name(count), _our_name(count)
        ratio = results.cpu_ratio(ours, sdk)
        cpu = results.cpu(ours) * 1000
        goal = Goal(f"≤ {LIMIT_MS:g} ms CPU", cpu, LIMIT_MS) if count == counts[-1] else None
        rows += [row(results, sdk), row(results, ours, f"{ratio:.2f}× SDK", goal)]
    return rows


def _sdk_name(count: int) -> str:
    return f"openai SDK: create(tools=…), {count:,} tools"


def _our_name(count: int) -> str:
    return f"run_turn up to the same point, {count:,} tools"


class _ToFirstText:
    """A provider that stops the watch when the first text of its answer has come."""

    def __init__(self, provider: ModelProvider, watch: Stopwatch) -> None:
        self._provider, self._watch = provider, watch

    def answer(
        self, request: ModelRequest, cancellation: Cancellation, on_text: OnText
    ) -> Completed:
        came: list[str] = []

        def take(text: str) -> None:
            if not came:
                self._watch.__exit__(None, None, None)
            came.append(text)
            on_text(text)

        return self._provider.answer(request, cancellation, take)


def _ours(count: int) -> Contender:
    def measure() -> Sample:
        _enable(count)
        turn = site.asked_turn()
        watch = Stopwatch()
        hooked = patch(
            "chat.requesting.provider_for", lambda alias: _ToFirstText(provider_for(alias), watch)
        )
        with hooked:
            watch.__enter__()
            run_turn(turn.pk)
        turn.refresh_from_db()
        if turn.status != Turn.Status.DONE:
            raise RuntimeError(f"the turn ended {turn.status}: {turn.notice!r}")
        return watch.sample

    return Contender(_our_name(count), measure)


def _sdk(client: OpenAI, count: int) -> Contender:
    _enable(count)
    tools = json.loads(catalog_for(site.person()).definitions)
    messages = bare_model.opening(conf().SYSTEM_PROMPT)

    def measure() -> Sample:
        with Stopwatch() as taken:
            stream = bare_model.first_text(client, messages, tools)
        for _ in stream:
            continue
        return taken.sample

    return Contender(_sdk_name(count), measure)


def _enable(count: int) -> None:
    MCPTool.objects.update(enabled=False)
    chosen = MCPTool.objects.order_by("function_name").values_list("pk", flat=True)[:count]
    MCPTool.objects.filter(pk__in=list(chosen)).update(enabled=True)
