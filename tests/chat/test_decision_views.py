"""Decisions on pages: what is shown before, sent after, and kept, with and without JavaScript."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from automate.models import MCPTool
from chat.engine import run_turn
from chat.models import Approval, ToolCall, ToolGrant, Turn
from chat.security import CHAT_POLICY

from .deciding import lose, ordering
from .deciding_pages import HTMX, begin, decide_url, ordered, person, typed
from .rows import put

__all__ = ["begin", "ordered", "person"]

pytestmark = pytest.mark.django_db


def resolve_url(turn: Turn) -> str:
    return reverse("chat:resolve", args=[turn.tool_calls.get().pk])


def test_a_page_without_javascript_does_not_reload_over_a_form_that_is_being_filled_in(
    person: Client, ordered: Turn
) -> None:
    put(ordered, Turn.Status.RUNNING)  # the call is stored as waiting before its turn is
    address = reverse("chat:conversation", args=[ordered.conversation_id])

    asking = person.get(address).content.decode()
    ToolCall.objects.update(status=ToolCall.Status.RUNNING)
    running = person.get(address).content.decode()

    assert "ask-form" in asking
    assert 'http-equiv="refresh"' not in asking
    assert 'http-equiv="refresh"' in running


def test_the_card_shows_what_would_be_sent_and_until_when(person: Client, ordered: Turn) -> None:
    page = person.get(reverse("chat:conversation", args=[ordered.conversation_id]))
    html = page.content.decode()

    assert "Order</span>" in html and "Shop</span>" in html
    assert "\nMUG</textarea>" in html and 'value="2"' in html
    assert "Waits until" in html and "Allow once" in html and "Do not allow" in html
    assert "Waiting for you" in html
    assert " open>" in html
    assert page.headers["Content-Security-Policy"] == CHAT_POLICY
    assert "<noscript><meta" not in html
    assert " style=" not in html and "onclick" not in html


def test_allowing_once_makes_the_call_and_the_turn_goes_on(person: Client, ordered: Turn) -> None:
    call = ordered.tool_calls.get()
    answer = person.post(decide_url(ordered), {"decision": "once", **typed(call)})
    ordered.refresh_from_db()
    assert ordered.status == Turn.Status.QUEUED
    run_turn(ordered.pk)

    where = reverse("chat:conversation", args=[ordered.conversation_id])
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{where}#call-{call.pk}")
    approval = Approval.objects.get()
    assert approval.original_arguments is None
    call.refresh_from_db()
    ordered.refresh_from_db()
    assert (call.status, ordered.status) == (ToolCall.Status.SUCCEEDED, Turn.Status.DONE)
    assert "Allowed by ann." in person.get(where).content.decode()


def test_changed_arguments_are_what_is_sent(person: Client, ordered: Turn) -> None:
    call = ordered.tool_calls.get()
    person.post(decide_url(ordered), {"decision": "once", **typed(call, count="3", gift="0")})
    run_turn(ordered.pk)

    call.refresh_from_db()
    assert call.arguments == {"sku": "MUG", "count": 3, "gift": True}
    assert Approval.objects.get().original_arguments == {"sku": "MUG", "count": 2}
    assert '"ordered":3' in call.result_text


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_changed_arguments_that_do_not_fit_are_kept_and_told(
    person: Client, ordered: Turn, headers: Any
) -> None:
    call = ordered.tool_calls.get()
    answer = person.post(
        decide_url(ordered),
        {"decision": "once", **typed(call, count="99", note="with a bow")},
        headers=headers,
    )
    html = answer.content.decode()

    assert answer.status_code == 422
    assert 'value="99"' in html and "\nwith a bow</textarea>" in html
    assert "It must be at most 9, not 99." in html
    assert "Nothing was sent" in html
    assert 'aria-invalid="true"' in html
    assert ("<html" in html) != bool(headers)
    assert Approval.objects.get().status == Approval.Status.WAITING
    if headers:
        assert answer.headers["HX-Retarget"] == f"#call-{call.pk}"


def test_denying_tells_the_model_why(person: Client, ordered: Turn, executor: Any) -> None:
    person.post(decide_url(ordered), {"decision": "deny", "reason": "Too\x00 many"})
    run_turn(ordered.pk)

    call = ordered.tool_calls.get()
    assert call.status == ToolCall.Status.REFUSED
    assert "Too many" in call.error
    page = person.get(reverse("chat:conversation", args=[ordered.conversation_id]))
    assert "Not allowed by ann." in page.content.decode()


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_the_second_of_two_decisions_is_told_and_changes_nothing(
    person: Client, ordered: Turn, headers: Any
) -> None:
    first = person.post(decide_url(ordered), {"decision": "once"})
    second = person.post(decide_url(ordered), {"decision": "deny"}, headers=headers)

    assert (first.status_code, second.status_code) == (302, 409)
    assert "decided already" in second.content.decode()
    assert Approval.objects.get().status == Approval.Status.APPROVED


def test_what_is_over_cannot_be_decided(person: Client, ordered: Turn) -> None:
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    page = person.get(reverse("chat:conversation", args=[ordered.conversation_id]))
    answer = person.post(decide_url(ordered), {"decision": "once"})

    assert "The time for it is over." in page.content.decode()
    assert "Allow once" not in page.content.decode()
    assert answer.status_code == 409
    assert Approval.objects.get().status == Approval.Status.WAITING


def test_a_tool_that_changed_meanwhile_can_only_be_denied(person: Client, ordered: Turn) -> None:
    tool = MCPTool.objects.get()
    tool.description = "Something else now."
    tool.save()

    refused = person.post(decide_url(ordered), {"decision": "once"}, headers=HTMX)
    denied = person.post(decide_url(ordered), {"decision": "deny"}, headers=HTMX)

    assert refused.status_code == 422
    assert "The tool has changed" in refused.content.decode()
    assert denied.status_code == 200
    assert denied.headers["HX-Trigger"] == '{"waiting-changed": {}}'


def test_a_decision_that_is_none_is_refused(person: Client, ordered: Turn) -> None:
    assert person.post(decide_url(ordered), {"decision": "perhaps"}).status_code == 422
    assert person.post(decide_url(ordered)).status_code == 422
    assert Approval.objects.get().status == Approval.Status.WAITING


@pytest.mark.parametrize("scope", ["conversation", "always"])
def test_a_grant_is_listed_and_can_be_taken_back(
    person: Client, ordered: Turn, scope: str, user: Any
) -> None:
    person.post(decide_url(ordered), {"decision": scope})
    grant = ToolGrant.objects.get()
    listed = person.get(reverse("chat:inbox")).content.decode()

    answer = person.post(reverse("chat:revoke", args=[grant.pk]))

    assert "Order" in listed
    where = "In the conversation" if scope == "conversation" else "In all your conversations"
    assert where in listed
    assert answer.status_code == 302
    assert not ToolGrant.objects.in_force().exists()
    after = person.get(reverse("chat:inbox")).content.decode()
    assert "Tools that you always allow stand here." in after


def test_a_large_call_is_shown_whole_and_cannot_be_changed(person: Client, begin: Any) -> None:
    schema = {"type": "object", "properties": {"body": {"type": "string"}}}
    offer = ordering(lambda arguments: "ok")
    offer.input_schema = schema
    body = "x" * 120_000
    turn = begin(offer, {"body": body})

    html = person.get(reverse("chat:conversation", args=[turn.conversation_id])).content.decode()

    assert body in html
    assert '<textarea name="call-' not in html
    assert person.post(decide_url(turn), {"decision": "once"}).status_code == 302


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("done", ToolCall.Status.SUCCEEDED),
        ("failed", ToolCall.Status.FAILED),
        ("again", ToolCall.Status.PENDING),
        ("unknown", ToolCall.Status.UNKNOWN),
    ],
)
def test_a_call_of_unknown_outcome_is_resolved_by_its_person(
    person: Client, ordered: Turn, outcome: str, status: str
) -> None:
    call = lose(ordered.tool_calls.get())
    html = person.get(reverse("chat:conversation", args=[ordered.conversation_id])).content.decode()
    first = person.post(resolve_url(ordered), {"outcome": outcome}, headers=HTMX)
    call.refresh_from_db()

    assert "It was done" in html and "Run it again" in html
    assert (first.status_code, call.status) == (200, status)
    assert call.resolved_by is not None
    ordered.refresh_from_db()
    assert ordered.status == Turn.Status.QUEUED
    if outcome != "unknown":
        second = person.post(resolve_url(ordered), {"outcome": "done"}, headers=HTMX)
        assert second.status_code == 409


def test_a_message_while_the_turn_waits_is_refused_in_words(person: Client, ordered: Turn) -> None:
    address = reverse("chat:send", args=[ordered.conversation_id])
    answer = person.post(address, {"text": "And now?"})

    assert answer.status_code == 409
    assert "waits for your decision" in answer.content.decode()
    assert ">And now?</textarea>" in answer.content.decode()


def test_stop_ends_the_wait_and_what_waited_is_withdrawn(person: Client, ordered: Turn) -> None:
    person.post(reverse("chat:stop", args=[ordered.pk]))
    late = person.post(decide_url(ordered), {"decision": "once"})
    ordered.refresh_from_db()

    assert ordered.status == Turn.Status.CANCELLED
    assert ordered.tool_calls.get().status == ToolCall.Status.CANCELLED
    assert late.status_code in (409, 422)
