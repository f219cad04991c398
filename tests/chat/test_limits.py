"""Where a turn stops by itself, and what is cut for the model."""

from typing import Any

import pytest

from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import Request, calls, text

from .test_engine import NUMBER, answers_of, finished, tool_messages

pytestmark = pytest.mark.django_db


def test_a_long_result_is_cut_for_the_model_and_kept_whole(model: Any, ask: Any, shop: Any) -> None:
    shop(Offer("read", handler=lambda arguments: "x" * 5_000))
    server = model([calls(("shop__read", {})), text("Long.")], MAX_RESULT_CHARACTERS=100)

    turn = finished(ask())

    (shown,) = tool_messages(server.requests[1])
    assert shown.startswith("x" * 100 + "\n[Cut here")
    assert turn.tool_calls.get().result["content"][0]["text"] == "x" * 5_000


@pytest.mark.parametrize(
    ("limit", "value", "expected_calls"),
    [("MAX_ROUNDS", 3, 2), ("MAX_TOOL_CALLS", 2, 2), ("MAX_TURN_TOKENS", 30, 1)],
)
def test_a_limit_ends_the_use_of_tools_and_is_told_to_both(
    model: Any, ask: Any, shop: Any, limit: str, value: int, expected_calls: int
) -> None:
    peer = shop(Offer("echo"))

    def reply(request: Request) -> Any:
        if not request.tool_names:
            return text("That is all I have.")
        return calls(("shop__echo", {"number": len(request.messages)}))

    server = model(reply, **{limit: value})

    turn = finished(ask())

    assert len(peer.calls("echo")) == expected_calls
    assert answers_of(turn)[-1] == "That is all I have."
    assert turn.notice.startswith("Stopped")
    assert "No tool can be used now" in tool_messages(server.requests[-1])[-1]


def test_the_same_call_is_made_three_times_at_most(model: Any, ask: Any, shop: Any) -> None:
    peer = shop(Offer("echo"))
    model(lambda request: calls(("shop__echo", {})) if request.tool_names else text("Enough."))

    turn = finished(ask())

    assert len(peer.calls("echo")) == 3
    assert "the same call" in turn.notice


def test_a_model_that_never_mends_its_arguments_is_stopped(model: Any, ask: Any, shop: Any) -> None:
    peer = shop(Offer("echo", input_schema=NUMBER))
    model(lambda request: calls(("shop__echo", {})) if request.tool_names else text("No."))

    turn = finished(ask())

    assert peer.calls() == []
    assert turn.tool_calls.count() == 4
    assert "do not fit" in turn.notice
