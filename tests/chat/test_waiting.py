"""Turns that wait for a person: for how long, what ends it, and what goes on counting."""

import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from chat.decisions import AlreadyDecided, approve, deny, expire_overdue
from chat.models import Approval, ToolCall, Turn
from chat.submission import TurnInProgress, send_message, stop_turn
from chat.sweeping import sweep
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import text

from .approving import NUMBER, approval_of, asked, order, run, statuses, told
from .test_stopping import until

__all__ = ["asked"]

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_of_two_is_sent_while_the_other_waits(asked: Any) -> None:
    turn, peer = asked(1, 2)

    approve(approval_of(turn, 2), turn.conversation.user)

    assert run(turn).status == Turn.Status.WAITING
    assert peer.calls("order") == [{"number": 2}]
    assert len(turn.model_server.requests) == 1
    deny(approval_of(turn, 1), turn.conversation.user)
    assert run(turn).status == Turn.Status.DONE
    assert len(peer.calls("order")) == 1


def test_a_word_that_comes_while_the_turn_runs_is_not_lost(
    asked: Any, started: Any, executor: Any
) -> None:
    release, began = threading.Event(), threading.Event()

    def slow(arguments: dict[str, Any]) -> str:
        began.set()
        assert release.wait(10)
        return "ordered"

    turn, peer = asked(1, 2, handler=slow)
    approve(approval_of(turn, 1), turn.conversation.user)
    executor.turn_ids.clear()
    thread = started(turn)
    assert began.wait(10)
    approve(approval_of(turn, 2), turn.conversation.user)
    assert executor.turn_ids == []
    release.set()
    thread.join(10)

    assert executor.turn_ids == [turn.pk]
    assert run(turn).status == Turn.Status.DONE
    assert sorted(each["number"] for each in peer.calls("order")) == [1, 2]


def test_what_nobody_allowed_in_time_is_not_sent(asked: Any) -> None:
    turn, peer = asked(1, APPROVAL_SECONDS=60.0)
    assert approval_of(turn).expires_at < timezone.now() + timedelta(seconds=61)
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    with pytest.raises(AlreadyDecided):
        approve(approval_of(turn), turn.conversation.user)
    assert expire_overdue() == 1

    assert run(turn).status == Turn.Status.DONE
    assert peer.calls("order") == []
    assert "in time" in told(turn)


def test_a_turn_that_waits_is_stopped_and_withdraws_what_it_asked(asked: Any) -> None:
    turn, peer = asked(1)

    stop_turn(turn)

    turn.refresh_from_db()
    assert (turn.status, statuses(turn)) == ("cancelled", ["cancelled"])
    assert approval_of(turn).status == "withdrawn"
    with pytest.raises(AlreadyDecided):
        approve(approval_of(turn), turn.conversation.user)
    run(turn)
    assert peer.calls("order") == []


def test_a_conversation_takes_no_message_while_its_turn_waits(asked: Any, user: Any) -> None:
    turn, _ = asked(1)

    with pytest.raises(TurnInProgress):
        send_message(user, turn.conversation, "Well?", uuid4())


def test_time_and_rounds_go_on_counting_after_a_wait(asked: Any) -> None:
    turn, _ = asked(1, then=[order(2)], MAX_ROUNDS=2)
    used = turn.seconds_used
    approve(approval_of(turn), turn.conversation.user)

    run(turn)

    assert turn.status == Turn.Status.DONE
    assert turn.rounds == 2
    assert turn.seconds_used > used > 0
    assert "Stopped using tools" in turn.notice


def test_the_same_call_is_counted_over_waits(asked: Any) -> None:
    turn, peer = asked(1, then=[order(1), order(1)], MAX_SAME_CALLS=2)
    person = turn.conversation.user
    for _ in range(2):
        waiting = Approval.objects.get(call__turn=turn, status="waiting")
        approve(waiting, person)
        run(turn)

    assert turn.status == Turn.Status.DONE
    assert len(peer.calls("order")) == 2
    assert statuses(turn) == ["succeeded", "succeeded", "refused"]


def test_a_turn_whose_last_word_was_lost_is_found_by_the_sweep(asked: Any, executor: Any) -> None:
    turn, _ = asked(1)
    Approval.objects.update(status="approved")
    ToolCall.objects.filter(turn=turn).update(status=ToolCall.Status.PENDING)
    executor.turn_ids.clear()

    queued = sweep().queued

    assert [each.pk for each in queued] == [turn.pk] == executor.turn_ids


def test_a_stop_reaches_a_turn_that_is_about_to_wait(
    model: Any, ask: Any, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(Offer("order", input_schema=NUMBER))
    model([order(1), text("Done.")], APPROVAL_DEFAULT="ask")
    turn = ask()
    wait = Turn.wait

    def stopped_just_before(self: Turn, owner: Any) -> bool:
        stop_turn(self)
        return wait(self, owner)

    monkeypatch.setattr(Turn, "wait", stopped_just_before)
    run(turn)

    until(lambda: Turn.objects.filter(pk=turn.pk, status=Turn.Status.CANCELLED).exists())
    assert approval_of(turn).status == "withdrawn"
