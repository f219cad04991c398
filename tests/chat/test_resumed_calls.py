"""A call that goes on after a wait or a restart is held to the rules as they are by then."""

from typing import Any

import pytest
from django.utils import timezone

from automate.conf import conf
from automate.models import MCPServer, MCPTool, ToolRule
from chat.arguments import arguments_hash
from chat.checking import CallChecker
from chat.limits import TurnLimits
from chat.models import Approval, Conversation, Message, ToolCall, ToolGrant, Turn

pytestmark = pytest.mark.django_db
ARGUMENTS = {"amount": 10}
NEEDS_APPROVAL = "An approval."


@pytest.fixture
def call(user: Any) -> ToolCall:
    """One that may be sent: its tool only reads, so that nobody was asked."""
    server = MCPServer.objects.create(name="Shop", slug="shop", endpoint_url="http://127.0.0.1:1/")
    tool = MCPTool.objects.create(server=server, name="refund", effect="read_only")
    conversation = Conversation.objects.create(user=user)
    turn = Turn.objects.create(conversation=conversation)
    return ToolCall.objects.create(
        turn=turn,
        message=Message.objects.create(
            conversation=conversation, turn=turn, role=Message.Role.ASSISTANT
        ),
        tool=tool,
        tool_version=tool.version,
        call_id="1",
        function_name=tool.function_name,
        arguments=ARGUMENTS,
    )


def hindrance(call: ToolCall) -> str:
    """Why it is not sent as it is."""
    reason, approval = CallChecker(call.turn, TurnLimits(conf()), conf()).checked_again(call)
    return NEEDS_APPROVAL if approval is not None else reason


def approve(call: ToolCall, *, second_person: bool = False, arguments: Any = None) -> None:
    Approval.objects.create(
        call=call,
        user=call.turn.conversation.user,
        tool=call.tool,
        arguments_hash=arguments_hash(arguments or ARGUMENTS),
        needs_second_person=second_person,
        status=Approval.Status.APPROVED,
        expires_at=timezone.now(),
    )


def test_a_call_that_is_still_allowed_goes_on(call: ToolCall) -> None:
    assert hindrance(call) == ""


def test_a_call_that_is_denied_by_now_is_refused_with_the_note(call: ToolCall) -> None:
    ToolRule.objects.create(decision="deny", note="Closed on Sundays.")

    assert hindrance(call) == "This call is not permitted: Closed on Sundays."


def test_a_person_who_has_lost_the_permission_is_refused(call: ToolCall) -> None:
    MCPServer.objects.update(required_permission="auth.view_user")

    assert "cannot be used any more" in hindrance(call)


def test_a_call_that_must_be_asked_by_now_and_was_not_is_not_sent(call: ToolCall) -> None:
    ToolRule.objects.create(decision="ask")
    assert hindrance(call) == NEEDS_APPROVAL

    approve(call)
    assert hindrance(call) == ""


def test_an_approval_of_other_arguments_is_none(call: ToolCall) -> None:
    ToolRule.objects.create(decision="ask")
    approve(call, arguments={"amount": 11})

    assert hindrance(call) == NEEDS_APPROVAL


def test_ones_own_word_is_not_a_second_persons(call: ToolCall) -> None:
    MCPTool.objects.update(needs_second_person=True)
    approve(call)
    assert hindrance(call) == NEEDS_APPROVAL

    Approval.objects.update(needs_second_person=True)
    assert hindrance(call) == ""


def test_a_standing_word_covers_it_until_it_is_revoked(call: ToolCall) -> None:
    ToolRule.objects.create(decision="ask")
    assert call.tool is not None
    grant = ToolGrant.objects.create(
        user=call.turn.conversation.user, tool=call.tool, definition_hash=call.tool.definition_hash
    )
    assert hindrance(call) == ""

    ToolGrant.objects.filter(pk=grant.pk).update(revoked_at=timezone.now())
    assert hindrance(call) == NEEDS_APPROVAL
