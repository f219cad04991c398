"""What each OpenAI-compatible server is known to do on the wire, row by row."""

import json

import pytest

from automate_llm.providers.base import Completed, RequestedCall, TextDelta, Usage
from tests.automate_llm.asking import QUESTION, TOOLS, asking
from tests.servers.scripted_replies import calls, chunk, raw_chunks, status, text, usage_chunk


def call(index, call_id=None, name=None, arguments=None, **more):
    part = {"id": call_id, "function": {"name": name, "arguments": arguments}, **more}
    return {"tool_calls": [part if index is None else {"index": index, **part}]}


def test_llama_cpp_does_not_enforce_required_and_runs_to_the_length_limit():
    with asking([text("Let me see. Let me see.", finish="length")]) as ask:
        answer = ask.answer(TOOLS)

    assert answer.calls == ()
    assert answer.truncated


def test_llama_cpp_drops_tools_that_its_template_does_not_know_and_answers_in_text():
    with asking([text("I cannot look that up.")]) as ask:
        answer = ask.answer(TOOLS)

    assert ask.model.requests[0].tool_names == ["shop_search"]
    assert answer == Completed("I cannot look that up.", usage=Usage(12, 5))


def test_a_call_that_is_written_as_text_stays_text():
    written = '```json\n{"name": "shop_search", "arguments": {"query": "mug"}}\n```'
    with asking([text(written, pieces=9)]) as ask:
        answer = ask.answer(TOOLS)

    assert answer.text == written
    assert answer.calls == ()


def test_broken_arguments_in_the_history_do_not_wedge_the_conversation():
    def like_llama_cpp(request):
        for message in request.messages:
            for each in message.get("tool_calls", ()):
                try:
                    json.loads(each["function"]["arguments"])
                except ValueError:
                    return status(500, {"error": {"message": "Failed to parse tool call"}})
        return text("Sorry, once more.")

    broken = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"q": '}}
    sound = {"id": "b", "type": "function", "function": {"name": "f", "arguments": '{"q": 1}'}}
    history = [
        *QUESTION,
        {"role": "assistant", "content": None, "tool_calls": [broken, sound]},
        {"role": "tool", "tool_call_id": "a", "content": "These arguments are no JSON."},
        {"role": "tool", "tool_call_id": "b", "content": "7"},
    ]
    with asking(like_llama_cpp) as ask:
        answer = ask.answer(TOOLS, history)

    sent = ask.model.requests[0].messages[1]["tool_calls"]
    assert answer.text == "Sorry, once more."
    assert [each["function"]["arguments"] for each in sent] == ["{}", '{"q": 1}']
    assert broken["function"]["arguments"] == '{"q": '


def test_parallel_calls_can_be_asked_for_where_a_server_has_them_off():
    with asking(text("Hi"), options={"parallel_tool_calls": True}) as ask:
        ask.answer(TOOLS)
        ask.answer()

    with_tools, without = ask.model.requests
    assert with_tools.body["parallel_tool_calls"] is True
    assert "parallel_tool_calls" not in without.body


def test_a_name_repeated_in_every_delta_is_one_call():
    deltas = [call(0, "a", "shop_search", part) for part in ("", '{"q": ', '"mug"}')]
    with asking([raw_chunks(map(chunk, deltas))]) as ask:
        answer = ask.answer(TOOLS)

    assert answer.calls == (RequestedCall("a", "shop_search", '{"q": "mug"}'),)


def test_thinking_and_unknown_fields_are_left_aside():
    thinking = chunk({"role": "assistant", "content": None, "reasoning_content": "The user asks"})
    last = {**chunk({"content": "Seven."}, "stop"), "timings": {"predicted_ms": 12.5}}
    with asking([raw_chunks([thinking, last])]) as ask:
        events = list(ask.events(TOOLS))

    assert events == [TextDelta("Seven."), Completed("Seven.")]


def test_ollama_gives_every_call_index_0_and_finishes_with_stop():
    deltas = [call(0, "a", "shop_search", '{"q": 1}'), call(0, "b", "shop_search", '{"q": 2}')]
    with asking([raw_chunks([*map(chunk, deltas), chunk({}, "stop")])]) as ask:
        answer = ask.answer(TOOLS)

    assert answer.calls == (
        RequestedCall("a", "shop_search", '{"q": 1}'),
        RequestedCall("b", "shop_search", '{"q": 2}'),
    )


def test_ollama_may_leave_the_index_out():
    deltas = [call(None, "a", "shop_search", '{"q": 1}'), call(None, "b", "stock", '{"q": 2}')]
    with asking([raw_chunks([*map(chunk, deltas), chunk({}, "stop")])]) as ask:
        answer = ask.answer(TOOLS)

    assert [(each.id, each.name) for each in answer.calls] == [("a", "shop_search"), ("b", "stock")]


def test_a_first_delta_with_an_index_but_no_id_gets_an_id():
    deltas = [
        {"tool_calls": [{"index": 0, "function": {"name": "shop_search", "arguments": '{"q"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]},
    ]
    with asking([raw_chunks(map(chunk, deltas))]) as ask:
        (requested,) = ask.answer(TOOLS).calls

    assert requested.id.startswith("call_")
    assert (requested.name, requested.arguments) == ("shop_search", '{"q": 1}')


def test_a_call_is_reported_even_where_tool_choice_forbade_it():
    with asking([calls(("shop_search", {"q": 1}))], options={"tool_choice": "none"}) as ask:
        answer = ask.answer(TOOLS)

    assert ask.model.requests[0].body["tool_choice"] == "none"
    assert [each.name for each in answer.calls] == ["shop_search"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (400, "registry.ollama.ai/library/gemma:2b does not support tools"),
        (
            400,
            '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser',
        ),
        (500, "tools param requires --jinja flag"),
        (404, "No endpoints found that support tool use. Try disabling shop_search."),
    ],
    ids=["ollama", "vllm", "llama.cpp", "openrouter"],
)
def test_a_refusal_of_tools_is_answered_by_one_request_without_them(code, words):
    refusal = status(code, {"error": {"message": words, "type": "api_error", "code": code}})
    with asking([refusal, text("Without tools.")]) as ask:
        answer = ask.answer(TOOLS)

    assert [request.tool_names for request in ask.model.requests] == [["shop_search"], []]
    assert (answer.text, answer.tools_dropped) == ("Without tools.", True)


def test_a_prompt_that_ollama_cut_shows_in_the_tokens_that_it_counted():
    with asking([raw_chunks([chunk({"content": "Hm?"}, "stop"), usage_chunk(2048, 3)])]) as ask:
        answer = ask.answer(messages=[{"role": "user", "content": "word " * 20_000}])

    assert answer.usage == Usage(2048, 3)


def test_vllm_may_finish_with_tool_calls_and_have_none():
    chunks = [chunk({"content": "Seven.", "tool_calls": []}), chunk({}, "tool_calls")]
    with asking([raw_chunks(chunks)]) as ask:
        answer = ask.answer(TOOLS)

    assert answer == Completed("Seven.")


def test_vllm_may_put_the_last_words_and_the_finish_into_one_chunk():
    with asking(
        [raw_chunks([chunk({"content": "Sev"}), chunk({"content": "en."}, "stop")])]
    ) as ask:
        answer = ask.answer()

    assert answer.text == "Seven."


def test_later_deltas_may_have_an_empty_id():
    deltas = [call(0, "a", "shop_search", ""), call(0, "", "", '{"q"'), call(0, "", None, ": 1}")]
    with asking([raw_chunks(map(chunk, deltas))]) as ask:
        answer = ask.answer(TOOLS)

    assert answer.calls == (RequestedCall("a", "shop_search", '{"q": 1}'),)


def test_vllm_may_lose_the_arguments_of_a_call_and_send_the_next_one_whole():
    both = {
        "tool_calls": [
            *call(0, "a", "now")["tool_calls"],
            *call(1, "b", "s", '{"q": 1}')["tool_calls"],
        ]
    }
    with asking([raw_chunks([chunk(both), chunk({}, "tool_calls")])]) as ask:
        answer = ask.answer(TOOLS)

    assert answer.calls == (RequestedCall("a", "now", "{}"), RequestedCall("b", "s", '{"q": 1}'))


def test_sglang_sends_nulls_in_continuation_deltas():
    deltas = [
        call(0, "a", "shop_search", "", type="function"),
        call(0, None, None, '{"q"', type=None),
        call(0, None, None, ": 1}"),
        call(0, None, None, None),
    ]
    with asking([raw_chunks(map(chunk, deltas))]) as ask:
        answer = ask.answer(TOOLS)

    assert answer.calls == (RequestedCall("a", "shop_search", '{"q": 1}'),)


def test_a_first_chunk_and_a_usage_chunk_may_have_no_choices():
    chunks = [
        {"choices": [], "prompt_filter_results": []},
        chunk({"content": "7"}),
        usage_chunk(9, 1),
    ]
    with asking([raw_chunks(chunks)]) as ask:
        answer = ask.answer()

    assert answer == Completed("7", usage=Usage(9, 1))
