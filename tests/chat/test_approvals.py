"""Calls that a person must allow: nothing is sent before, and what was allowed is sent once."""

import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from automate.models import MCPTool, ToolRule
from chat.decisions import AlreadyDecided, approve, deny, expire_overdue, revoke
from chat.engine import run_turn
from chat.models import Approval, ToolCall, ToolGrant, Turn, TurnEvent
from chat.submission import TurnInProgress, send_message, stop_turn
from chat.sweeping import sweep
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_model import calls, text

from .test_stopping import until

pytestmark = pytest.mark.django_db(transaction=True)

NUMBER = {
    "type": "object",
    "properties": {"number": {"type": "integer", "maximum": 9}},
    "required": ["number"],
}


def order(*numbers: int) -> Any:
    return calls(*(("shop__order", {"number": number}) for number in numbers))


def run(turn: Turn) -> Turn:
    run_turn(turn.pk)
    turn.refresh_from_db()
    return turn


@pytest.fixture
def asked(model: Any, ask: Any, shop: Any) -> Any:
    """Let the model want orders, each of which waits: `turn, peer = asked(1, 2)`."""

    def wait(
        *numbers: int, then: Any = (), handler: Any = lambda arguments: "ordered", **automate: Any
    ) -> tuple[Turn, Any]:
        peer = shop(Offer("order", input_schema=NUMBER, handler=handler))
        server = model(
            [order(*numbers), *then, text("Done.")], **{"APPROVAL_DEFAULT": "ask", **automate}
        )
        turn = run(ask())
        turn.model_server = server
        assert turn.status == Turn.Status.WAITING
        return turn, peer

    return wait


def approval_of(turn: Turn, number: int = 1) -> Approval:
    return Approval.objects.get(call__turn=turn, call__arguments={"number": number})


def statuses(turn: Turn) -> list[str]:
    return [call.status for call in turn.tool_calls.all()]


def told(turn: Turn) -> str:
    """What the model was told about the last call."""
    return turn.model_server.requests[-1].messages[-1]["content"]


def test_a_call_that_needs_a_person_is_not_sent(asked: Any) -> None:
    turn, peer = asked(1)

    assert peer.calls("order") == []
    assert statuses(turn) == ["waiting"]
    assert [each.kind for each in turn.events.all()][-1] == TurnEvent.Kind.WAITING
    assert (turn.lease_owner, turn.attempt) == (None, 0)


def test_an_approved_call_is_sent_once_and_the_turn_goes_on(asked: Any, executor: Any) -> None:
    turn, peer = asked(1)
    executor.turn_ids.clear()

    approve(approval_of(turn), turn.conversation.user)

    assert executor.turn_ids == [turn.pk]
    assert run(turn).status == Turn.Status.DONE
    assert peer.calls("order") == [{"number": 1}]
    assert turn.messages.last().content == "Done."
    approval = approval_of(turn)
    assert (approval.status, approval.decided_by) == ("approved", turn.conversation.user)


def test_what_was_decided_is_not_decided_again(asked: Any) -> None:
    turn, peer = asked(1)
    person = turn.conversation.user
    approve(approval_of(turn), person)

    for decide in (approve, deny):
        with pytest.raises(AlreadyDecided):
            decide(approval_of(turn), person)

    run(turn)
    run(turn)
    assert len(peer.calls("order")) == 1


def test_two_who_approve_at_one_moment_send_it_once(asked: Any) -> None:
    turn, peer = asked(1)
    together, outcomes = threading.Barrier(2, timeout=10), []

    def click() -> None:
        from django.db import connection

        approval = approval_of(turn)
        together.wait()
        try:
            approve(approval, turn.conversation.user)
            outcomes.append("approved")
        except AlreadyDecided:
            outcomes.append("late")
        finally:
            connection.close()

    clicks = [threading.Thread(target=click) for _ in range(2)]
    for each in clicks:
        each.start()
    for each in clicks:
        each.join()

    assert sorted(outcomes) == ["approved", "late"]
    run(turn)
    assert len(peer.calls("order")) == 1


def test_nobody_else_decides(asked: Any) -> None:
    turn, peer = asked(1)
    other = get_user_model().objects.create_superuser("root", password="x")

    for decide in (approve, deny):
        with pytest.raises(PermissionDenied):
            decide(approval_of(turn), other)

    assert statuses(turn) == ["waiting"]


def test_edited_arguments_are_checked_again_and_sent(asked: Any) -> None:
    turn, peer = asked(1)
    person = turn.conversation.user

    with pytest.raises(ValidationError, match="do not fit"):
        approve(approval_of(turn), person, arguments={"number": 10})
    assert statuses(turn) == ["waiting"]
    approve(approval_of(turn), person, arguments={"number": 2})
    run(turn)

    assert peer.calls("order") == [{"number": 2}]
    assert approval_of(turn, 2).original_arguments == {"number": 1}
    sent = turn.model_server.requests[-1].messages[-2]["tool_calls"][0]["function"]["arguments"]
    assert sent == '{"number": 2}'


def test_edited_arguments_pass_the_rules_too(asked: Any) -> None:
    turn, _ = asked(1)
    ToolRule.objects.create(
        decision="deny", argument_schema={"properties": {"number": {"minimum": 5}}}, note="Five."
    )

    with pytest.raises(ValidationError, match="Five"):
        approve(approval_of(turn), turn.conversation.user, arguments={"number": 6})


def test_a_denied_call_is_never_sent_and_the_model_is_told_why(asked: Any) -> None:
    turn, peer = asked(1)

    deny(approval_of(turn), turn.conversation.user, "Too\n expensive.")

    assert run(turn).status == Turn.Status.DONE
    assert peer.calls("order") == []
    assert statuses(turn) == ["refused"]
    assert "Too expensive." in told(turn)


def test_a_tool_that_changed_since_is_not_approved(asked: Any) -> None:
    turn, peer = asked(1)
    tool = MCPTool.objects.get()
    tool.description = "Orders twice as much."
    tool.save()

    with pytest.raises(ValidationError, match="changed"):
        approve(approval_of(turn), turn.conversation.user)


def test_a_tool_that_changed_between_the_word_and_the_call_is_not_sent(asked: Any) -> None:
    turn, peer = asked(1)
    approve(approval_of(turn), turn.conversation.user)
    tool = MCPTool.objects.get()
    tool.description = "Orders twice as much."
    tool.save()

    run(turn)

    assert peer.calls("order") == []
    assert statuses(turn) == ["refused"]


def test_a_right_that_was_lost_between_the_word_and_the_call_counts(asked: Any) -> None:
    turn, peer = asked(1)
    approve(approval_of(turn), turn.conversation.user)
    ToolRule.objects.create(decision="deny", user=turn.conversation.user)

    run(turn)

    assert peer.calls("order") == []
    assert statuses(turn) == ["refused"]


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


@pytest.mark.parametrize(
    ("scope", "again", "elsewhere"),
    [
        ("once", "waiting", "waiting"),
        ("conversation", "done", "waiting"),
        ("always", "done", "done"),
    ],
)
def test_a_scope_holds_as_far_as_it_says(
    asked: Any, ask: Any, model: Any, scope: str, again: str, elsewhere: str
) -> None:
    turn, _ = asked(1)
    approve(approval_of(turn), turn.conversation.user, scope=scope)
    run(turn)
    model([order(2), text("Done.")] * 2, APPROVAL_DEFAULT="ask")

    second = run(ask(conversation=turn.conversation))
    stop_turn(second)
    model([order(3), text("Done.")], APPROVAL_DEFAULT="ask")
    third = run(ask())

    assert (second.status, third.status) == (again, elsewhere)


def test_a_grant_ends_with_the_tools_version_and_when_it_is_revoked(
    asked: Any, ask: Any, model: Any
) -> None:
    turn, _ = asked(1)
    approve(approval_of(turn), turn.conversation.user, scope="always")
    run(turn)
    tool = MCPTool.objects.get()
    granted = ToolGrant.objects.covering(turn.conversation.user, tool, turn.conversation)
    assert granted.exists()

    revoke(granted.get())

    assert not ToolGrant.objects.covering(turn.conversation.user, tool, turn.conversation).exists()
    ToolGrant.objects.update(revoked_at=None)
    tool.description = "Something else."
    tool.save()
    assert not ToolGrant.objects.covering(turn.conversation.user, tool, turn.conversation).exists()


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


def test_a_second_person_decides_where_the_tool_asks_for_one(
    model: Any, ask: Any, shop: Any
) -> None:
    peer = shop(Offer("order", input_schema=NUMBER))
    MCPTool.objects.update(needs_second_person=True)
    model([order(1), text("Done.")])
    turn = run(ask())
    second = get_user_model().objects.create_user("bob")

    assert turn.status == Turn.Status.WAITING
    for person in (turn.conversation.user, second):
        with pytest.raises(PermissionDenied):
            approve(approval_of(turn), person)
    second.user_permissions.add(Permission.objects.get(codename="approve_for_others"))
    second = get_user_model().objects.get(pk=second.pk)
    approve(approval_of(turn), second, scope="always")

    assert run(turn).status == Turn.Status.DONE
    assert len(peer.calls("order")) == 1
    assert approval_of(turn).scope == "once"
    assert not ToolGrant.objects.exists()


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


def test_a_read_asks_nobody_and_a_write_does(model: Any, ask: Any, shop: Any) -> None:
    shop(
        Offer("read", annotations={"readOnlyHint": True}),
        Offer("write", annotations={"readOnlyHint": False}),
        Offer("says_nothing"),
    )
    wanted = [("shop__read", {}), ("shop__write", {}), ("shop__says_nothing", {})]
    model([calls(*wanted), text("Done.")], APPROVAL_DEFAULT="annotations")

    turn = run(ask())

    assert statuses(turn) == ["succeeded", "waiting", "waiting"]


def test_the_answer_of_an_earlier_attempt_is_not_stored_over_a_later_one(asked: Any) -> None:
    turn, _ = asked(1)
    approve(approval_of(turn), turn.conversation.user)
    first = turn.tool_calls.get()
    assert first.move(ToolCall.Status.RUNNING, attempts=1)
    ToolCall.objects.filter(pk=first.pk).move(ToolCall.Status.PENDING)
    second = turn.tool_calls.get()
    assert second.move(ToolCall.Status.RUNNING, attempts=2)

    assert not first.move(ToolCall.Status.FAILED)
    assert second.move(ToolCall.Status.SUCCEEDED)


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
