import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automate_llm.exceptions import ModelStreamBroken, ModelUnavailable
from automate_llm.providers import deltas
from automate_llm.providers.base import Completed, Usage
from automate_llm.providers.deltas import Assembly, data_lines


def said(delta, finish=None):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def piece(index, call_id=None, name=None, arguments=None):
    return said(
        {
            "tool_calls": [
                {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}
            ]
        }
    )


def assembled(*chunks) -> Completed:
    assembly = Assembly()
    for chunk in chunks:
        assembly.add(json.dumps(chunk))
    return assembly.completed()


def called(*chunks) -> list[tuple[str, str]]:
    return [(call.name, call.arguments) for call in assembled(*chunks).calls]


STREAM = 'data: {"a": "é"}\r\n\r\n: comment\ndata:two\rdata: [DONE]\n\ndata: last'.encode()


@given(st.sets(st.integers(1, len(STREAM) - 1)))
def test_data_lines_are_the_same_wherever_the_network_cuts_the_stream(cuts):
    borders = [0, *sorted(cuts), len(STREAM)]

    lines = list(data_lines(STREAM[start:end] for start, end in pairwise(borders)))

    assert lines == ['{"a": "é"}', "two", "[DONE]", "last"]


def test_a_line_is_given_before_the_next_piece_is_read():
    def pieces():
        yield b"data: one\n"
        raise AssertionError("read too far")

    assert next(data_lines(pieces())) == "one"


def test_bytes_that_are_no_utf8_are_replaced():
    assert list(data_lines([b"data: a\xff\xfeb\n"])) == ["a\ufffd\ufffdb"]


@pytest.mark.parametrize("ending", [b"", b"\n"], ids=["unfinished", "finished"])
def test_a_line_above_the_limit_breaks_the_stream(monkeypatch, ending):
    monkeypatch.setattr(deltas, "MAX_LINE_BYTES", 1000)

    with pytest.raises(ModelStreamBroken, match="longer than this site accepts"):
        list(data_lines([b"data: ", *[b"x" * 100] * 10, ending]))


def test_a_stream_above_the_limit_breaks_even_if_it_says_nothing(monkeypatch):
    monkeypatch.setattr(deltas, "MAX_STREAM_BYTES", 1000)

    with pytest.raises(ModelStreamBroken, match="longer than this site accepts"):
        list(data_lines([b": still here\n"] * 100))


def test_fragments_of_two_calls_may_alternate():
    assert called(
        piece(0, "a", "search", '{"q":'),
        piece(1, "b", "fetch", '{"id":'),
        piece(0, arguments=' "mug"}'),
        piece(1, arguments=" 7}"),
    ) == [("search", '{"q": "mug"}'), ("fetch", '{"id": 7}')]


def test_another_id_on_the_same_index_is_another_call():
    assert called(
        piece(0, "a", "search", '{"q": 1}'),
        piece(0, "b", "search", '{"q": 2}'),
        piece(0, "b", None, ""),
    ) == [("search", '{"q": 1}'), ("search", '{"q": 2}')]


@pytest.mark.parametrize("second", ["search", "fetch"])
def test_a_second_name_after_complete_arguments_is_another_call(second):
    assert called(
        piece(0, None, "search", '{"q": 1}'),
        piece(0, None, second, '{"q": 2}'),
    ) == [("search", '{"q": 1}'), (second, '{"q": 2}')]


def test_a_second_name_after_no_arguments_at_all_is_another_call():
    assert called(
        piece(0, None, "now", ""),
        piece(0, None, "search", '{"q": 2}'),
    ) == [("now", "{}"), ("search", '{"q": 2}')]


@pytest.mark.parametrize("call_id", [None, "a"])
def test_a_name_repeated_in_every_piece_stays_one_call(call_id):
    assert called(
        piece(0, call_id, "search", ""),
        piece(0, call_id, "search", '{"q"'),
        piece(0, call_id, "search", ': {"a": 1}'),
        piece(0, call_id, "search", "}"),
        piece(0, call_id, "search", ""),
    ) == [("search", '{"q": {"a": 1}}')]


def test_an_id_that_comes_late_is_taken():
    answer = assembled(piece(0, "", "search", '{"q"'), piece(0, "late", None, ": 1}"))

    assert [(call.id, call.arguments) for call in answer.calls] == [("late", '{"q": 1}')]


@pytest.mark.parametrize("call_id", [None, "", "x" * 300, "line\nend", 7])
def test_a_missing_or_unusable_id_is_made_up(call_id):
    first, second = assembled(
        piece(0, call_id, "search", "{}"), piece(1, call_id, "search", "{}")
    ).calls

    assert first.id.startswith("call_")
    assert second.id.startswith("call_")
    assert first.id != second.id


def test_an_id_given_to_two_calls_is_kept_by_the_first_only():
    first, second = assembled(piece(0, "a", "search", "{}"), piece(1, "a", "fetch", "{}")).calls

    assert first.id == "a"
    assert second.id != "a"


def test_pieces_without_an_index_belong_to_the_last_call():
    assert called(
        piece(None, "a", "search", '{"q"'),
        piece(None, None, None, ": 1}"),
        piece(None, "b", "fetch", "{}"),
    ) == [("search", '{"q": 1}'), ("fetch", "{}")]


def test_arguments_that_are_an_object_become_its_json():
    assert called(piece(0, "a", "search", {"q": 1})) == [("search", '{"q": 1}')]


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_no_arguments_are_an_empty_object(nothing):
    assert called(piece(0, "a", "now", nothing)) == [("now", "{}")]


def test_broken_arguments_are_kept_as_the_model_wrote_them():
    assert called(piece(0, "a", "search", '{"q": "mu')) == [("search", '{"q": "mu')]


def test_a_call_that_was_cut_off_before_its_arguments_is_not_given_empty_ones():
    answer = assembled(
        piece(0, "a", "now", ""), piece(1, "b", "delete_all", ""), said({}, "length")
    )

    assert [(call.name, call.arguments) for call in answer.calls] == [
        ("now", "{}"),
        ("delete_all", ""),
    ]
    assert answer.truncated


def test_a_call_without_a_name_is_left_out():
    assert called(piece(0, "a", None, "{}"), piece(1, "b", "now", "{}")) == [("now", "{}")]


def test_the_old_function_call_is_a_call():
    assert called(
        said({"function_call": {"name": "search", "arguments": '{"q"'}}),
        said({"function_call": {"arguments": ": 1}"}}),
        said({}, "function_call"),
    ) == [("search", '{"q": 1}')]


@pytest.mark.parametrize(
    "chunk",
    [
        {},
        {"choices": None},
        {"choices": []},
        {"choices": [None]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": None, "tool_calls": None}}]},
        {"choices": [{"delta": {"content": ["part"], "tool_calls": [None, {}]}}]},
        {"choices": [{"delta": {"reasoning_content": "Hm", "refusal": None, "new": 1}}]},
        {"error": None, "timings": {"predicted_ms": 1}, "usage": None},
    ],
)
def test_a_chunk_that_says_nothing_of_use_changes_nothing(chunk):
    assert assembled(said({"content": "a"}), chunk, said({"content": "b"})) == Completed("ab")


def test_the_last_usage_counts_and_nonsense_in_it_does_not():
    answer = assembled(
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
        {"choices": [], "usage": {"prompt_tokens": 10**30, "completion_tokens": "many"}},
    )

    assert answer.usage == Usage(2**31 - 1, 0)


def test_text_is_freed_of_what_a_database_refuses():
    assert assembled(said({"content": "a\0b\ud800c😀"})).text == "ab\ufffdc😀"


@pytest.mark.parametrize(
    "event", ["nonsense", "[1]", "5", "[" * 100_000, '{"choices": [', "1" * 5000]
)
def test_an_event_that_is_no_chunk_breaks_the_stream(event):
    with pytest.raises(ModelStreamBroken, match="no answer"):
        Assembly().add(event)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (
            {"error": {"message": "secret words", "type": "BadRequestError", "code": 400}},
            ModelStreamBroken,
        ),
        ({"error": "secret words"}, ModelStreamBroken),
        ({"object": "error", "message": "secret words", "code": 400}, ModelStreamBroken),
        ({"error": {"message": "secret words", "type": "server_error"}}, ModelUnavailable),
        ({"error": {"message": "secret words", "code": 503}}, ModelUnavailable),
        ({"error": {"message": "secret words", "code": "rate_limit_exceeded"}}, ModelUnavailable),
    ],
)
def test_an_error_in_the_stream_is_raised_without_the_servers_words(event, kind):
    with pytest.raises(kind) as caught:
        Assembly().add(json.dumps(event))

    assert "secret" not in str(caught.value)


def test_an_answer_above_the_limit_breaks_the_stream(monkeypatch):
    monkeypatch.setattr(deltas, "MAX_ANSWER_CHARACTERS", 100)

    with pytest.raises(ModelStreamBroken, match="longer than this site accepts"):
        assembled(*[said({"content": "x" * 30})] * 2, *[piece(0, "a", "search", "x" * 30)] * 2)


def test_arguments_above_the_limit_break_the_stream(monkeypatch):
    monkeypatch.setattr(deltas, "MAX_ARGUMENTS_CHARACTERS", 100)

    with pytest.raises(ModelStreamBroken, match="longer than this site accepts"):
        assembled(*[piece(0, "a", "search", "x" * 30)] * 4)


def test_more_calls_than_the_limit_break_the_stream():
    pieces = [piece(index, f"call-{index}", "search", "{}") for index in range(129)]

    assert len(assembled(*pieces[:128]).calls) == 128
    with pytest.raises(ModelStreamBroken, match="more than 128 tool calls"):
        assembled(*pieces)


def test_a_name_is_held_to_what_a_row_can_store():
    assert called(piece(0, "a", "n" * 5000, "{}")) == [("n" * 200, "{}")]
