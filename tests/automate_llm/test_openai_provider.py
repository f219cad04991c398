import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from automate_llm.cancellation import Cancellation
from automate_llm.exceptions import ModelCancelled
from automate_llm.providers import openai as module
from automate_llm.providers.base import (
    Completed,
    ModelConfig,
    ModelRequest,
    TextDelta,
    Usage,
)
from automate_llm.providers.openai import openai_provider
from tests.automate_llm.asking import QUESTION, TOOLS, asking
from tests.servers.scripted_model import ScriptedModel
from tests.servers.scripted_replies import calls, chunk, raw_chunks, silence, status, text

SOON = 0.5
"""Seconds within which a cancelled request must have ended."""


def test_text_streams_as_it_comes_and_ends_with_the_whole():
    permits = threading.Semaphore(2)
    with asking([text("There are seven.").paced(permits)]) as ask:
        events = ask.events()
        first = next(events)
        permits.release(10)
        *rest, last = events

    assert first == TextDelta("There")
    assert "".join(event.text for event in rest) == " are seven."
    assert last == Completed("There are seven.", usage=Usage(12, 3))


def test_several_calls_are_put_together_from_their_pieces():
    wanted = [("shop_search", {"query": "blue mugs", "limit": 5}), ("shop_stock", {})]
    with asking([calls(*wanted, content="Let me look.")]) as ask:
        answer = ask.answer(TOOLS)

    assert answer.text == "Let me look."
    assert [(each.name, each.arguments) for each in answer.calls] == [
        ("shop_search", '{"query": "blue mugs", "limit": 5}'),
        ("shop_stock", "{}"),
    ]


def test_the_request_carries_messages_prepared_tools_and_options():
    options = {"temperature": 0, "max_completion_tokens": 50, "stream": False, "user": None}
    with asking([text("Hi")], options=options) as ask:
        ask.answer(TOOLS, [*QUESTION, {"role": "assistant", "content": "7 ✓"}])

    (request,) = ask.model.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["accept-encoding"] == "identity"
    assert TOOLS in request.content
    assert request.body == {
        "model": "scripted",
        "messages": [*QUESTION, {"role": "assistant", "content": "7 ✓"}],
        "tools": [
            {
                "type": "function",
                "function": {"name": "shop_search", "parameters": {"type": "object"}},
            }
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "max_completion_tokens": 50,
    }


def test_an_option_of_none_takes_back_what_some_servers_refuse():
    with asking([text("Hi")], options={"stream_options": None}) as ask:
        ask.answer()

    assert "stream_options" not in ask.model.requests[0].body


def test_requests_in_a_row_share_one_connection():
    with asking(text("Hi")) as ask:
        for _ in range(3):
            ask.answer()

        assert ask.model.connections_made == 1


def test_a_server_that_never_ends_its_stream_holds_nobody_up():
    endless = raw_chunks([chunk({"content": "Hi"}), "[DONE]", b": still here\n\n"], done=False)
    with asking([endless.paced(threading.Semaphore(2)), text("Again")]) as ask:
        first, second = ask.answer(), ask.answer()

    assert (first.text, second.text) == ("Hi", "Again")


def test_a_finish_without_done_is_the_end():
    with asking([raw_chunks([chunk({"content": "Hi"}, "stop")], done=False)]) as ask:
        assert ask.answer().text == "Hi"


def test_a_connection_lost_after_the_finish_loses_nothing():
    with asking([text("Hi").drop_after(3)]) as ask:
        assert ask.answer() == Completed("Hi")


def test_done_without_a_finish_is_the_end():
    with asking([raw_chunks([chunk({"content": "Hi"})])]) as ask:
        assert ask.answer().text == "Hi"


def test_answers_at_the_same_time_do_not_mix():
    everyone = threading.Barrier(8)

    def echo(request):
        everyone.wait(timeout=10)
        return text(request.messages[-1]["content"])

    with ThreadPoolExecutor(8) as pool, asking(echo) as ask:
        words = [f"word {number}" for number in range(8)]
        answers = pool.map(
            lambda word: ask.answer(messages=[{"role": "user", "content": word}]), words
        )

        assert [answer.text for answer in answers] == words


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(lambda: silence(threading.Event()), id="before the head"),
        pytest.param(lambda: text("Hi").paced(threading.Semaphore(0)), id="before the first word"),
        pytest.param(lambda: text("Hi you").paced(threading.Semaphore(2)), id="between two words"),
        pytest.param(lambda: status(429, retry_after="15"), id="between two tries"),
    ],
)
def test_a_cancelled_request_ends_at_once(reply):
    cancellation = Cancellation()
    with ThreadPoolExecutor(1) as pool, asking([reply()]) as ask:
        answer = pool.submit(lambda: list(ask.events(cancellation=cancellation)))
        assert ask.model.arrived.acquire(timeout=5)
        cancellation.cancel()

        assert isinstance(answer.exception(timeout=SOON), ModelCancelled)
        assert len(ask.model.requests) == 1


def test_the_model_learns_that_its_answer_was_cancelled():
    cancellation = Cancellation()
    with asking([text("Hi you").paced(threading.Semaphore(2))]) as ask:
        events = ask.events(cancellation=cancellation)
        next(events)
        cancellation.cancel()

        with pytest.raises(ModelCancelled, match="stopped"):
            next(events)
        assert ask.model.hung_up.wait(5)


def test_nothing_is_sent_for_a_request_that_was_cancelled_before():
    cancellation = Cancellation()
    cancellation.cancel()
    with asking([text("Hi")]) as ask:
        with pytest.raises(ModelCancelled):
            list(ask.events(cancellation=cancellation))

        assert ask.model.requests == []


def test_a_cancellation_that_comes_too_late_does_not_hit_the_next_request():
    late = Cancellation()
    permits = threading.Semaphore(10)
    with asking([text("One"), text("Two and three").paced(permits)]) as ask:
        assert list(ask.events(cancellation=late))[-1] == Completed("One", usage=Usage(12, 1))
        events = ask.events()
        next(events)
        late.cancel()

        assert list(events)[-1].text == "Two and three"


def test_an_abandoned_answer_is_hung_up():
    with asking([text("Hi you").paced(threading.Semaphore(2)), text("Again")]) as ask:
        events = ask.events()
        next(events)
        events.close()

        assert ask.model.hung_up.wait(5)
        assert ask.answer().text == "Again"


def test_a_provider_is_shared_by_equal_configurations(monkeypatch):
    monkeypatch.setattr(module, "_providers", [])
    one = ModelConfig(model="m", options={"temperature": 0})
    same = ModelConfig(model="m", options={"temperature": 0})
    other = ModelConfig(model="m", options={"temperature": 1})

    assert openai_provider(one) is openai_provider(same)
    assert openai_provider(one) is not openai_provider(other)


def test_the_oldest_of_too_many_providers_is_closed(monkeypatch):
    monkeypatch.setattr(module, "_providers", [])
    monkeypatch.setattr(module, "MAX_PROVIDERS", 2)
    with ScriptedModel(text("Hi")) as model:
        configs = [ModelConfig(f"model-{number}", model.base_url) for number in range(3)]
        first, *_ = providers = [openai_provider(config) for config in configs]

        assert list(first.stream(ModelRequest(QUESTION), Cancellation()))[-1].text == "Hi"
        assert openai_provider(configs[0]) is not first
        for provider in [*providers, *module._providers]:
            provider.close()


def test_only_the_module_itself_loads_the_sdk():
    code = "import sys, automate_llm.providers.base; assert 'openai' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True)
