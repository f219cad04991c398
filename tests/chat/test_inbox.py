"""The inbox, and who may decide: the person, a second one where a tool needs it, nobody else."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from automate.models import MCPTool
from chat.engine import run_turn
from chat.models import Approval, Question, ToolCall, ToolGrant, Turn
from chat.waiting import count_waiting_for

from .deciding import ordering
from .deciding_pages import HTMX, begin, browser_of, decide_url, ordered, person, typed

__all__ = ["begin", "ordered", "person"]

pytestmark = pytest.mark.django_db

SENT = {"decision": "once", "action": "accept", "outcome": "done"}


def everything(turn: Turn) -> list[str]:
    """Every address that takes a decision; the rows exist whatever waits."""
    call = turn.tool_calls.get()
    question = Question.objects.create(call=call, key="q", expires_at=timezone.now())
    grant = ToolGrant.objects.create(
        user=turn.conversation.user, tool=MCPTool.objects.get(), definition_hash="x"
    )
    return [
        decide_url(turn),
        reverse("chat:answer", args=[question.pk]),
        reverse("chat:resolve", args=[call.pk]),
        reverse("chat:revoke", args=[grant.pk]),
    ]


def test_the_inbox_lists_what_waits_and_leads_to_its_conversation(
    person: Client, ordered: Turn, user: Any
) -> None:
    html = person.get(reverse("chat:inbox")).content.decode()
    call = ordered.tool_calls.get()

    where = reverse("chat:conversation", args=[ordered.conversation_id])
    assert f'<a href="{where}#call-{call.pk}">Please</a>' in html
    assert 'data-count="1"' in html
    assert count_waiting_for(user) == 1
    answer = person.post(decide_url(ordered), {"decision": "once", "from": "inbox"})
    assert answer.headers["Location"] == reverse("chat:inbox")
    empty = person.get(reverse("chat:inbox")).content.decode()
    assert "Nothing waits for you." in empty
    assert "data-count" not in empty


def test_the_inbox_keeps_what_was_typed(person: Client, ordered: Turn) -> None:
    call = ordered.tool_calls.get()
    sent = {"decision": "once", "from": "inbox", **typed(call, count="99")}
    answer = person.post(decide_url(ordered), sent)
    html = answer.content.decode()

    assert answer.status_code == 422
    assert 'value="99"' in html and "<title>Inbox" in html


def test_the_link_to_the_inbox_counts(person: Client, ordered: Turn) -> None:
    part = person.get(reverse("chat:inbox-link")).content.decode()

    assert 'data-count="1"' in part and "<html" not in part


def test_only_a_second_person_allows_what_needs_one(
    person: Client, begin: Any, django_user_model: Any, user: Any
) -> None:
    turn = begin(ordering(), {"sku": "MUG", "count": 2}, second=True)
    second = browser_of(django_user_model, "sam", "approve_for_others")
    address = decide_url(turn)
    own_page = person.get(reverse("chat:conversation", args=[turn.conversation_id]))
    inbox = second.get(reverse("chat:inbox")).content.decode()

    assert "Only a second person can allow it." in own_page.content.decode()
    assert "Allow once" not in own_page.content.decode()
    assert count_waiting_for(user) == 0
    assert "The assistant of ann wants to use this tool." in inbox
    assert "Always allow for me" not in inbox
    assert str(turn.conversation_id) not in inbox and "Please" not in inbox
    assert person.post(address, {"decision": "once"}).status_code == 403
    assert second.post(address, {"decision": "always"}).headers["Location"] == reverse("chat:inbox")
    assert not ToolGrant.objects.exists()
    run_turn(turn.pk)
    assert turn.tool_calls.get().status == ToolCall.Status.SUCCEEDED
    late = second.post(address, {"decision": "deny"}, headers=HTMX)
    assert late.status_code == 409
    assert "ordered" not in late.content.decode()


def test_a_second_person_without_the_right_finds_nothing(
    begin: Any, django_user_model: Any
) -> None:
    turn = begin(ordering(), {"sku": "MUG", "count": 2}, second=True)
    eve = browser_of(django_user_model, "eve")

    assert "Order" not in eve.get(reverse("chat:inbox")).content.decode()
    assert eve.post(decide_url(turn), {"decision": "once"}).status_code == 404


@pytest.mark.parametrize(
    ("fields", "rights"),
    [({}, ()), ({}, ("approve_for_others",)), ({"is_superuser": True, "is_staff": True}, ())],
)
def test_nobody_decides_for_somebody_else(
    ordered: Turn, django_user_model: Any, fields: Any, rights: Any
) -> None:
    other = browser_of(django_user_model, "eve", *rights, **fields)
    addresses = everything(ordered)

    statuses = [other.post(each, SENT).status_code for each in addresses]

    assert statuses == [404] * 4
    assert "Order" not in other.get(reverse("chat:inbox")).content.decode()
    assert Approval.objects.get().status == Approval.Status.WAITING
    assert ToolGrant.objects.in_force().count() == 1


def test_somebody_who_is_not_logged_in_is_asked_to(client: Client, ordered: Turn) -> None:
    addresses = everything(ordered)
    for address in addresses:
        assert client.post(address, SENT).headers["Location"].startswith(reverse("login"))
    for name in ("inbox", "inbox-link"):
        assert client.get(reverse(f"chat:{name}")).status_code == 302
    assert Approval.objects.get().status == Approval.Status.WAITING


def test_no_decision_without_the_csrf_token_or_by_a_link(user: Any, ordered: Turn) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    addresses = everything(ordered)

    assert {browser.post(each, SENT).status_code for each in addresses} == {403}
    assert {browser.get(each).status_code for each in addresses} == {405}


def test_the_inbox_takes_a_fixed_number_of_queries(
    person: Client, ordered: Turn, user: Any, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(16):
        person.get(reverse("chat:inbox"))


def test_what_was_decided_is_in_the_audit_of_superusers_alone(
    person: Client, ordered: Turn, admin_user: Any
) -> None:
    call = ordered.tool_calls.get()
    person.post(decide_url(ordered), {"decision": "always", **typed(call, count="3")})
    operator = Client()
    operator.force_login(admin_user)
    question = Question.objects.create(
        call=call, key="who", message="<b>Who?", content={"a": 1}, expires_at=timezone.now()
    )

    pages = {}
    for model, row in (
        ("approval", Approval.objects.get()),
        ("toolgrant", ToolGrant.objects.get()),
        ("question", question),
    ):
        assert operator.get(reverse(f"admin:automate_chat_{model}_changelist")).status_code == 200
        assert operator.get(reverse(f"admin:automate_chat_{model}_add")).status_code == 403
        address = reverse(f"admin:automate_chat_{model}_change", args=[row.pk])
        pages[model] = operator.get(address).content.decode()
        assert operator.post(address, {}).status_code == 403

    assert "&quot;count&quot;: 3" in pages["approval"]
    assert "&quot;count&quot;: 2" in pages["approval"]
    assert "&lt;b&gt;Who?" in pages["question"]
    assert person.get(reverse("admin:automate_chat_approval_changelist")).status_code == 302
