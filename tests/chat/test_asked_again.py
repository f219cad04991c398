"""A call that was allowed, and must be asked about once more by the time that it would be sent."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from automate.models import MCPTool, ToolRule
from chat.arguments import arguments_hash
from chat.decisions import AlreadyDecided, approve, deny, resolve
from chat.models import Approval, Turn
from chat.signals import approval_requested
from chat.waiting import turn_words

from .approving import approval_of, asked, run, statuses
from .test_unknown_outcomes import lost

__all__ = ["asked", "lost"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def second(db: None) -> Any:
    """Somebody who may allow what others want."""
    found = get_user_model().objects.create_user("bob")
    found.user_permissions.add(Permission.objects.get(codename="approve_for_others"))
    return found


def test_a_rule_that_came_since_the_restart_asks_and_the_call_goes_on(lost: Any, user: Any) -> None:
    turn, peer = lost(effect=MCPTool.Effect.IDEMPOTENT)
    ToolRule.objects.create(decision="ask", note="Stocktaking.")
    asked_for: list[str] = []

    def note(approval: Approval, **named: Any) -> None:
        asked_for.append(approval.why)

    approval_requested.connect(note)
    assert run(turn).status == Turn.Status.WAITING
    approval_requested.disconnect(note)

    assert statuses(turn) == ["waiting"]
    assert asked_for == [approval_of(turn).why] == ["Stocktaking."]
    assert len(peer.calls()) == 1
    approve(approval_of(turn), user)
    assert run(turn).status == Turn.Status.DONE
    assert statuses(turn) == ["succeeded"]
    assert len(peer.calls()) == 2


def test_a_second_person_who_is_wanted_since_the_first_ones_word_is_asked(
    asked: Any, user: Any, second: Any
) -> None:
    turn, peer = asked(1)
    approve(approval_of(turn), user, arguments={"number": 2})
    MCPTool.objects.update(needs_second_person=True)

    assert run(turn).status == Turn.Status.WAITING

    found = approval_of(turn, 2)
    assert (found.status, found.needs_second_person, found.decided_by) == ("waiting", True, None)
    assert found.why == "ann allowed it before."
    with pytest.raises(PermissionDenied):
        approve(found, user)
    approve(found, second)
    assert run(turn).status == Turn.Status.DONE
    assert peer.calls("order") == [{"number": 2}]
    found.refresh_from_db()
    assert (found.decided_by, found.original_arguments) == (second, {"number": 1})


def test_what_is_denied_the_second_time_is_not_sent(asked: Any, user: Any, second: Any) -> None:
    turn, peer = asked(1)
    approve(approval_of(turn), user)
    MCPTool.objects.update(needs_second_person=True)
    run(turn)

    deny(approval_of(turn), second, "Not today.")

    assert run(turn).status == Turn.Status.DONE
    assert statuses(turn) == ["refused"]
    assert peer.calls("order") == []


def test_a_second_persons_word_is_for_one_sending(lost: Any, user: Any, second: Any) -> None:
    turn, peer = lost()
    MCPTool.objects.update(needs_second_person=True)
    call = turn.tool_calls.get()
    Approval.objects.create(
        call=call,
        user=user,
        tool=call.tool,
        definition_hash=call.tool.definition_hash,
        arguments_hash=arguments_hash(call.arguments),
        needs_second_person=True,
        status=Approval.Status.APPROVED,
        decided_by=second,
        expires_at=call.created_at,
    )

    resolve(call, user, "again")

    assert run(turn).status == Turn.Status.WAITING
    assert len(peer.calls()) == 1
    approve(approval_of(turn), second)
    assert run(turn).status == Turn.Status.DONE
    assert len(peer.calls()) == 2


def test_the_page_says_for_whom_it_waits(asked: Any, user: Any, second: Any, client: Any) -> None:
    turn, _ = asked(1)
    client.force_login(user)
    address = reverse("chat:conversation", args=[turn.conversation_id])
    assert turn_words(turn) == "Needs your approval"
    approve(approval_of(turn), user)
    MCPTool.objects.update(needs_second_person=True)
    run(turn)

    page = client.get(address).content.decode()

    assert page.count("Waiting for a second person") == 2
    assert "Waiting for you" not in page
    assert turn_words(turn) == "Waiting for a second person"


def test_a_decision_on_what_was_deleted_meanwhile_is_too_late(asked: Any, user: Any) -> None:
    turn, _ = asked(1)
    approval = Approval.objects.select_related("call").get()
    turn.conversation.delete()

    for decide in (approve, deny):
        with pytest.raises(AlreadyDecided, match="deleted"):
            decide(approval, user)
