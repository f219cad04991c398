"""What a model may answer, and the history stays one that a strict API takes."""

import json
from typing import Any

import pytest

from automate.conf import conf
from chat.context import model_messages
from chat.engine import run_turn
from chat.models import ToolCall, Turn
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, chunk, raw_chunks, text, usage_chunk

from .strict_api import problems_of

pytestmark = pytest.mark.django_db


def asking(*wanted: tuple[str, str, str]) -> Any:
    """An answer with calls of these ids, names and arguments, letter for letter."""
    parts = [
        {"index": at, "id": each[0], "function": {"name": each[1], "arguments": each[2]}}
        for at, each in enumerate(wanted)
    ]
    chunks = [chunk({"tool_calls": [part]}) for part in parts]
    return raw_chunks([*chunks, chunk({}, "tool_calls"), usage_chunk()])


def finished(turn: Turn) -> Turn:
    run_turn(turn.pk)
    turn.refresh_from_db()
    return turn


@pytest.mark.parametrize(
    ("call_id", "name"),
    [
        ("call_1", "shop__echo"),
        ("x" * 200, "shop__echo"),
        ("x" * 5_000, "shop__echo"),
        ("an id with spaces", "shop__echo"),
        ("functions.echo:0", "functions.shop__echo"),
        ("nul\x00", "nul\x00and half a pair \ud800"),
        ("", "\x00"),
        ("call_1", "über/échø " * 40),
    ],
)
def test_no_id_and_no_name_of_a_call_spoils_the_history(
    model: Any, ask: Any, shop: Any, call_id: str, name: str
) -> None:
    shop(Offer("echo"))
    server = model([asking((call_id, name, "{}"), (call_id, name, '{"a": 1}')), text("Done.")])

    turn = finished(ask())

    assert (turn.status, turn.tool_calls.count()) == (Turn.Status.DONE, 2)
    assert problems_of(server.requests[1].messages) == []
    assert problems_of(model_messages(turn, conf())) == []


@pytest.mark.parametrize("depth", [65, 300, 900, 950, 990, 20_000])
def test_arguments_of_any_depth_are_refused_and_the_turn_goes_on(
    model: Any, ask: Any, shop: Any, depth: int
) -> None:
    peer = shop(Offer("echo"))
    model([calls(("shop__echo", '{"a":' * depth + "1" + "}" * depth)), text("Done.")])

    turn = finished(ask())

    assert (turn.status, turn.notice) == (Turn.Status.DONE, "")
    call = turn.tool_calls.get()
    assert (call.status, call.error[:18]) == (ToolCall.Status.REFUSED, "The arguments are ")
    assert peer.calls() == []


def test_of_128_calls_in_one_answer_each_has_its_answer(model: Any, ask: Any, shop: Any) -> None:
    peer = shop(Offer("echo"))
    wanted = [("shop__echo", {"number": number}) for number in range(128)]
    server = model([calls(*wanted), text("Done.")], MAX_TOOL_CALLS=5)

    turn = finished(ask())

    assert turn.tool_calls.filter(status=ToolCall.Status.SUCCEEDED).count() == 5
    assert len(peer.calls("echo")) == 5
    assert problems_of(server.requests[1].messages) == []
    assert len(server.requests[1].messages) == 3 + 128


def test_more_tokens_than_a_column_holds_are_counted_as_the_most_it_holds(
    model: Any, ask: Any, shop: Any
) -> None:
    shop(Offer("echo"))
    part = {"index": 0, "id": "call_1", "function": {"name": "shop__echo", "arguments": "{}"}}
    usage = usage_chunk(2**31 - 1, 2**40)
    answer = raw_chunks([chunk({"content": "So."}), chunk({}, "stop"), usage])
    model([raw_chunks([chunk({"tool_calls": [part]}), chunk({}, "tool_calls"), usage]), answer])

    turn = finished(ask())

    assert turn.status == Turn.Status.DONE
    assert (turn.prompt_tokens, turn.completion_tokens) == (2**31 - 1, 2**31 - 1)


def test_what_is_refused_by_the_strict_api_is_found() -> None:
    call = {"id": "a b", "function": {"name": "odd name", "arguments": json.dumps([])}}
    messages = [
        {"role": "user", "content": ""},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "user", "content": "Hello"},
        {"role": "tool", "tool_call_id": "a b", "content": "late"},
    ]

    assert len(problems_of(messages)) == 6


@pytest.mark.parametrize("value", [0, 1, 10**12])
@pytest.mark.parametrize(
    "name",
    [
        "MAX_ROUNDS",
        "MAX_TOOL_CALLS",
        "MAX_REPAIRS",
        "MAX_SAME_CALLS",
        "MAX_TURN_TOKENS",
        "CONTEXT_TOKENS",
        "MAX_RESULT_CHARACTERS",
        "PARALLEL_CALLS",
    ],
)
def test_any_limit_leaves_a_turn_that_ends_with_an_answer(
    model: Any, ask: Any, shop: Any, name: str, value: int
) -> None:
    shop(Offer("echo"))
    server = model(
        lambda request: (
            calls(("shop__echo", {"at": len(request.messages)}))
            if request.tool_names and len(request.messages) < 6
            else text("Done.")
        ),
        **{name: value},
    )

    turn = finished(ask())

    assert turn.status == Turn.Status.DONE
    assert turn.messages.last().content == "Done."
    assert [each for request in server.requests for each in problems_of(request.messages)] == []


def test_a_system_prompt_may_be_a_lazy_translation(model: Any, ask: Any) -> None:
    from django.utils.translation import gettext_lazy

    server = model([text("Hi.")], SYSTEM_PROMPT=gettext_lazy("Be kind."))

    assert finished(ask()).status == Turn.Status.DONE
    assert server.requests[0].messages[0]["content"] == "Be kind."
