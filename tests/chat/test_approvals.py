"""Calls that a person must allow: nothing is sent before, and what was allowed is sent once."""

import threading
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied, ValidationError

from automate.models import MCPTool, ToolRule
from chat.decisions import AlreadyDecided, approve, deny, revoke
from chat.models import ToolCall, ToolGrant, Turn, TurnEvent
from chat.submission import stop_turn
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, text

from .approving import NUMBER, approval_of, asked, order, run, statuses, told

__all__ = ["asked"]

pytestmark = pytest.mark.django_db(transaction=True)


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
