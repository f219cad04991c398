"""Calls of which nobody knows what came of them: a person says, and only then it goes on."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError

from automate.models import MCPTool
from chat.decisions import AlreadyDecided, resolve
from chat.engine import run_turn
from chat.models import Message, ToolCall, Turn
from chat.queueing import queue_turn
from chat.recovery import recover_abandoned
from chat.sweeping import sweep
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, text

from .rows import let_lease_run_out
from .test_disturbances import elsewhere

pytestmark = pytest.mark.django_db(transaction=True)


def die() -> None:
    """What the rest of the world sees of a process that ends in the middle of a call."""
    let_lease_run_out()
    assert recover_abandoned() == 1


def run(turn: Turn) -> Turn:
    run_turn(turn.pk)
    turn.refresh_from_db()
    return turn


@pytest.fixture
def lost(model: Any, ask: Any, shop: Any) -> Callable[..., Any]:
    """A turn whose process died while its call was under way."""

    def lose(**tool: Any) -> tuple[Turn, Any]:
        deaths = [die]
        peer = shop(Offer("order", handler=elsewhere(lambda: deaths.pop()() if deaths else None)))
        MCPTool.objects.update(**tool)
        turn = ask()
        turn.model_server = model([calls(("shop__order", {"number": 1})), text("Done.")])
        return run(turn), peer

    return lose


def told(turn: Turn) -> str:
    return turn.model_server.requests[-1].messages[-1]["content"]


def test_the_turn_waits_for_a_word(lost: Any) -> None:
    turn, peer = lost()

    assert turn.status == Turn.Status.WAITING
    assert turn.tool_calls.get().status == ToolCall.Status.UNKNOWN
    assert len(peer.calls()) == 1
    assert len(turn.model_server.requests) == 1


@pytest.mark.parametrize(
    ("outcome", "status", "word"),
    [
        ("done", "succeeded", "did its work"),
        ("failed", "failed", "did not do its work"),
        ("unknown", "unknown", "may have done its work"),
    ],
)
def test_a_persons_word_lets_the_turn_go_on_and_the_model_know(
    lost: Any, outcome: str, status: str, word: str
) -> None:
    turn, peer = lost()

    resolve(turn.tool_calls.get(), turn.conversation.user, outcome)
    run(turn)

    call = turn.tool_calls.get()
    assert (turn.status, call.status) == (Turn.Status.DONE, status)
    assert call.resolved_by == turn.conversation.user
    assert word in told(turn)
    assert len(peer.calls()) == 1


def test_a_call_is_sent_again_when_a_person_says_so(lost: Any) -> None:
    turn, peer = lost()

    resolve(turn.tool_calls.get(), turn.conversation.user, "again")
    run(turn)

    call = turn.tool_calls.get()
    assert (turn.status, call.status, call.attempts) == (Turn.Status.DONE, "succeeded", 2)
    assert len(peer.calls()) == 2


def test_a_tool_that_may_run_twice_is_called_again_by_itself(lost: Any) -> None:
    turn, peer = lost(effect=MCPTool.Effect.IDEMPOTENT)
    assert turn.status == Turn.Status.QUEUED

    run(turn)

    assert turn.status == Turn.Status.DONE
    assert turn.tool_calls.get().attempts == len(peer.calls()) == 2


def test_nobody_else_says_what_became_of_it(lost: Any) -> None:
    turn, _ = lost()
    other = get_user_model().objects.create_superuser("root")

    with pytest.raises(PermissionDenied):
        resolve(turn.tool_calls.get(), other, "done")


def test_what_is_known_is_not_said_again(lost: Any) -> None:
    turn, _ = lost()
    person = turn.conversation.user
    resolve(turn.tool_calls.get(), person, "failed")

    with pytest.raises(AlreadyDecided):
        resolve(turn.tool_calls.get(), person, "again")


def test_a_call_of_a_turn_that_is_over_is_not_sent_again(lost: Any) -> None:
    turn, peer = lost()
    person = turn.conversation.user
    resolve(turn.tool_calls.get(), person, "unknown")
    run(turn)

    with pytest.raises(ValidationError, match="new message"):
        resolve(turn.tool_calls.get(), person, "again")
    resolve(turn.tool_calls.get(), person, "done")

    assert turn.tool_calls.get().status == ToolCall.Status.SUCCEEDED
    assert turn.events.last().data == {"status": "done"}
    assert len(peer.calls()) == 1


def test_a_word_that_comes_while_the_turn_runs_again_is_not_lost(
    lost: Any, executor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, _ = lost()
    call, person = turn.tool_calls.get(), turn.conversation.user
    assert queue_turn(turn)
    executor.turn_ids.clear()
    wait = Turn.wait

    def resolved_just_before(self: Turn, owner: Any) -> bool:
        resolve(call, person, "done")
        return wait(self, owner)

    monkeypatch.setattr(Turn, "wait", resolved_just_before)
    run(turn)

    assert executor.turn_ids == [turn.pk]
    assert turn.status == Turn.Status.QUEUED


def test_an_unknown_call_that_the_model_was_told_of_holds_no_later_wait(
    lost: Any, executor: Any
) -> None:
    turn, _ = lost()
    ToolCall.objects.filter(turn=turn).update(resolved_by=None)
    later = Message.objects.create(
        conversation=turn.conversation, turn=turn, role=Message.Role.ASSISTANT
    )
    ToolCall.objects.create(
        turn=turn, message=later, call_id="2", function_name="f", status=ToolCall.Status.REFUSED
    )
    executor.turn_ids.clear()

    sweep()

    assert executor.turn_ids == [turn.pk]
