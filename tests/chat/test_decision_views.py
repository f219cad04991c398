"""The inbox and the decisions on pages: who may take them, once, and without JavaScript."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from automate.models import MCPTool
from chat.engine import run_turn
from chat.models import Approval, Question, ToolCall, ToolGrant, Turn
from chat.security import CHAT_POLICY
from chat.waiting import arguments_form, count_waiting_for
from tests.servers.scripted_model import calls, text

from .deciding import PAGE, asking_for_a_visit, asking_for_contact, lose, ordering
from .rows import put

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def person(client: Client, user: Any) -> Client:
    client.force_login(user)
    return client


@pytest.fixture
def begin(model: Any, shop: Any, ask: Any) -> Any:
    """Let a turn run until it waits: `begin(ordering(), {"sku": "MUG"})`."""

    def run(offer: Any, arguments: Any, *, second: bool = False) -> Turn:
        shop(offer)
        MCPTool.objects.update(needs_second_person=second)
        model([calls((f"shop__{offer.name}", arguments)), text("Done.")], APPROVAL_DEFAULT="ask")
        turn: Turn = ask("Please")
        run_turn(turn.pk)
        turn.refresh_from_db()
        assert turn.status == Turn.Status.WAITING
        return turn

    return run


@pytest.fixture
def ordered(begin: Any) -> Turn:
    """A turn that waits for its order to be allowed."""
    turn: Turn = begin(ordering(), {"sku": "MUG", "count": 2})
    return turn


@pytest.fixture
def questioned(begin: Any) -> Turn:
    """A turn whose tool asks who the person is."""
    turn: Turn = begin(asking_for_contact(), {})
    approve_it(turn)
    return turn


def approve_it(turn: Turn) -> None:
    approval = Approval.objects.get(call__turn=turn)
    Approval.objects.filter(pk=approval.pk).update(status=Approval.Status.APPROVED)
    ToolCall.objects.filter(pk=approval.call_id).update(status=ToolCall.Status.PENDING)
    put(turn, Turn.Status.QUEUED)
    run_turn(turn.pk)


def browser_of(django_user_model: Any, name: str, *rights: str, **fields: Any) -> Client:
    somebody = django_user_model.objects.create_user(name, **fields)
    somebody.user_permissions.set(Permission.objects.filter(codename__in=rights))
    browser = Client()
    browser.force_login(somebody)
    return browser


def decide_url(turn: Turn) -> str:
    return reverse("chat:decide", args=[Approval.objects.get(call__turn=turn).pk])


def answer_url(turn: Turn) -> str:
    return reverse("chat:answer", args=[Question.objects.get(call__turn=turn).pk])


def resolve_url(turn: Turn) -> str:
    return reverse("chat:resolve", args=[turn.tool_calls.get().pk])


def typed(call: ToolCall, **fields: str) -> dict[str, str]:
    """The form of the order as a browser sends it."""
    form = arguments_form(call.approval, call)
    assert form is not None
    keys = {getattr(field, "name", ""): key for key, field in form.fields.items()}
    values = {"sku": "MUG", "count": "2", "note": "", "gift": ""} | fields
    sent = {form.add_prefix(keys[name]): text for name, text in values.items()}
    return {form.add_prefix("shown"): "1", **sent}


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


def test_a_question_is_a_form_whose_answer_reaches_its_server(
    person: Client, questioned: Turn
) -> None:
    page = person.get(reverse("chat:conversation", args=[questioned.conversation_id]))
    html = page.content.decode()
    prefix = f"question-{Question.objects.get().pk}"
    sent = {f"{prefix}-shown": "1", f"{prefix}-f0": "Ada", f"{prefix}-f1": "nowhere"}

    bad = person.post(answer_url(questioned), {"action": "accept", **sent}, headers=HTMX)
    sent[f"{prefix}-f1"] = "ada@example.com"
    sent[f"{prefix}-f2"] = "1"
    good = person.post(answer_url(questioned), {"action": "accept", **sent}, headers=HTMX)
    run_turn(questioned.pk)

    assert "Shop asks you:" in html and "Who are you?" in html and 'value="Ada"' in html
    assert bad.status_code == 422
    assert 'value="nowhere"' in bad.content.decode()
    assert good.status_code == 200
    content = {"name": "Ada", "mail": "ada@example.com", "size": "large"}
    assert Question.objects.get().content == content
    assert '"action":"accept"' in questioned.tool_calls.get().result_text


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a_question_may_be_left_unanswered(person: Client, questioned: Turn, action: str) -> None:
    first = person.post(answer_url(questioned), {"action": action})
    second = person.post(answer_url(questioned), {"action": "accept"}, headers=HTMX)
    run_turn(questioned.pk)

    assert (first.status_code, second.status_code) == (302, 409)
    assert f'"action":"{action}"' in questioned.tool_calls.get().result_text
    assert Question.objects.get().content is None


def test_a_question_with_an_address_shows_its_host_and_is_never_fetched(
    person: Client, begin: Any
) -> None:
    turn = begin(asking_for_a_visit(), {})
    approve_it(turn)
    html = person.get(reverse("chat:conversation", args=[turn.conversation_id])).content.decode()
    address = PAGE.replace("&", "&amp;")

    assert "<strong>pay.example.com</strong>" in html
    assert f'<a href="{address}" target="_blank" rel="noopener noreferrer">{address}</a>' in html
    assert person.post(answer_url(turn), {"action": "accept"}).status_code == 302
    run_turn(turn.pk)
    assert '"action":"accept"' in turn.tool_calls.get().result_text


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


SENT = {"decision": "once", "action": "accept", "outcome": "done"}


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


def test_the_inbox_takes_a_fixed_number_of_queries(
    person: Client, ordered: Turn, user: Any, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(16):
        person.get(reverse("chat:inbox"))


def test_hostile_words_of_a_question_are_text(person: Client, ordered: Turn) -> None:
    call = ordered.tool_calls.get()
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    Approval.objects.update(status=Approval.Status.APPROVED, why=evil)
    schema = {"type": "object", "properties": {evil: {"type": "string", "title": evil}}}
    Question.objects.create(
        call=call, key=evil, message=evil, schema=schema, expires_at=timezone.now()
    )
    Question.objects.filter(call=call).update(expires_at=timezone.now() + timedelta(hours=1))

    html = person.get(reverse("chat:conversation", args=[ordered.conversation_id])).content.decode()

    assert "<script>alert" not in html and "<img src=x" not in html
    assert "&lt;script&gt;alert" in html


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
