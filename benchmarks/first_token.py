"""(c) From sending a message to its first text in the browser's stream, and in the bare SDK's."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from openai import OpenAI

from automate.catalog import catalog_for
from automate.conf import conf
from automate_llm.http import close_pools

from . import bare_model, site
from .browser import Browser, browser
from .children import child
from .measuring import Contender, Results, Sample, Stopwatch
from .report import Benchmark, Goal, Row, row

TOOLS = 20
LIMIT_MS = 5.0
TITLE = f"Time to the first text, {TOOLS} tools enabled"
# Seconds before each event of the model, whose text begins in the second one, and its words: so
# many that the answer is not over before a browser can have opened the stream.
PACES = {"model waits 10 ms": (0.005, 40), "model waits 100 ms": (0.05, 5)}


@contextmanager
def prepared(quick: bool) -> Iterator[Benchmark]:
    """The site under uvicorn in a child process, one for each pace of the model."""
    sides = []
    with ExitStack() as running:
        cheap = running.enter_context(child("benchmarks.cheap_server", "--tools", TOOLS))
        site.register(f"{cheap}/mcp/0")
        tools = json.loads(catalog_for(site.person()).definitions)
        messages = bare_model.opening(conf().SYSTEM_PROMPT)
        for pace, (delay, words) in PACES.items():
            model = child("tests.servers.scripted_model", "--tokens", words, "--delay", delay)
            model_url = running.enter_context(model)
            client = running.enter_context(bare_model.client(model_url))
            served = child(
                "benchmarks.asgi_server", "config.asgi:application", OPENAI_BASE_URL=model_url
            )
            person = running.enter_context(browser(running.enter_context(served)))
            sides += [_sdk(client, pace, messages, tools), _ours(person, pace)]
        yield Benchmark(
            TITLE,
            sides,
            ours=sides[1],
            rounds=1 if quick else 25,
            rows=_rows,
            note="The watch starts when the message is sent (POST) and stops when its first text "
            "is read from the stream, which is opened (GET) when the page has come: before the "
            "first text where the model waits 100 ms, and about with it where it waits 10 ms. "
            "The CPU is that of the client alone.",
        )
    close_pools()


def _sdk(client: OpenAI, pace: str, messages: bare_model.Messages, tools: list[Any]) -> Contender:
    def measure() -> Sample:
        with Stopwatch() as taken:
            stream = bare_model.first_text(client, messages, tools)
        for _ in stream:
            continue
        return taken.sample

    return Contender(_sdk_name(pace), measure)


def _ours(person: Browser, pace: str) -> Contender:
    return Contender(_our_name(pace), lambda: person.first_text(bare_model.QUESTION))


def _rows(results: Results) -> list[Row]:
    rows = []
    for pace in PACES:
        sdk, ours = _sdk_name(pace), _our_name(pace)
        extra = results.extra_wall(ours, sdk) * 1000
        goal = Goal(f"≤ {LIMIT_MS:g} ms more", extra, LIMIT_MS)
        rows += [row(results, sdk), row(results, ours, f"{extra:+.1f} ms", goal)]
    return rows


def _sdk_name(pace: str) -> str:
    return f"openai SDK, first chunk with text; {pace}"


def _our_name(pace: str) -> str:
    return f"browser, first text event; {pace}"
