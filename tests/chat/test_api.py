"""The JSON API: the same decisions as on the pages, the same rights, and errors that say why."""

import base64
import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from automate.models import MCPTool
from chat.engine import run_turn
from chat.models import Approval, Message, Question, ToolCall, ToolGrant, Turn
from tests.servers.scripted_replies import calls, text

from .deciding import asking_for_contact, lose, ordering
from .deciding_pages import approve_it, begin, browser_of, ordered, person
from .rows import put

__all__ = ["begin", "ordered", "person"]

pytestmark = pytest.mark.django_db

DOCUMENT = Path(__file__).parent.parent.parent / "docs/api.md"


def post(browser: Client, path: str, **body: Any) -> Any:
    return browser.post(f"/chat/api/{path}", json.dumps(body), "application/json")


def approval_path(turn: Turn, what: str = "approve") -> str:
    return f"approvals/{Approval.objects.get(call__turn=turn).pk}/{what}"


def everything(turn: Turn) -> list[tuple[str, str, dict[str, Any]]]:
    """Every operation on rows of this turn's person: method, path and body."""
    call = turn.tool_calls.get()
    question = Question.objects.create(
        call=call, key="q", expires_at=timezone.now() + timedelta(hours=1)
    )
    grant = ToolGrant.objects.create(
        user=turn.conversation.user, tool=MCPTool.objects.get(), definition_hash="x"
    )
    return [
        ("post", "messages", {"text": "Hi", "conversation": str(turn.conversation_id)}),
        ("get", f"conversations/{turn.conversation_id}", {}),
        ("post", f"conversations/{turn.conversation_id}", {"title": "Mine"}),
        ("post", f"conversations/{turn.conversation_id}/delete", {}),
        ("post", f"conversations/{turn.conversation_id}/restore", {}),
        ("get", f"turns/{turn.pk}", {}),
        ("post", f"turns/{turn.pk}/stop", {}),
        ("post", f"turns/{turn.pk}/regenerate", {}),
        ("post", f"turns/{turn.pk}/edit", {"text": "Other"}),
        ("post", f"turns/{turn.pk}/continue", {}),
        ("post", f"turns/{turn.pk}/show", {}),
        ("post", approval_path(turn), {}),
        ("post", approval_path(turn, "deny"), {}),
        ("post", f"questions/{question.pk}/answer", {"action": "decline"}),
        ("post", f"calls/{call.pk}/resolve", {"outcome": "done"}),
        ("post", f"grants/{grant.pk}/revoke", {}),
    ]


def ask_all(browser: Client, turn: Turn, **headers: str) -> list[Any]:
    return [
        browser.post(f"/chat/api/{path}", json.dumps(body), "application/json")
        if method == "post"
        else browser.get(f"/chat/api/{path}")
        for method, path, body in everything(turn)
    ]


@pytest.mark.django_db(transaction=True)
def test_the_examples_of_the_document_work(
    live_server: Any, user: Any, model: Any, shop: Any
) -> None:
    shop(ordering(), asking_for_contact())
    both = [
        calls(("shop__order", {"sku": "MUG", "count": 2})),
        calls(("shop__contact", {})),
        text("All done."),
        text("More."),
    ]
    model(both, APPROVAL_DEFAULT="ask")
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    names: dict[str, Any] = {"SITE": live_server.url}

    for block in blocks:
        exec(compile(block, DOCUMENT.name, "exec"), names)

    assert len(blocks) == 9
    assert Question.objects.get().content == {"name": "Ada", "mail": "ada@example.com"}
    assert Approval.objects.first().original_arguments == {"sku": "MUG", "count": 2}


def test_a_turn_is_read_with_its_messages_and_calls(person: Client, ordered: Turn) -> None:
    found = person.get(f"/chat/api/turns/{ordered.pk}").json()

    assert (found["status"], found["messages"][0]["content"]) == ("waiting", "Please")
    [call] = found["calls"]
    assert call["arguments"] == {"sku": "MUG", "count": 2}
    assert call["approval"]["asked_by"] == "ann"
    assert not call["unresolved"]


def test_a_message_sent_twice_is_one(person: Client, executor: Any) -> None:
    sent = {"text": "Hello", "submission": "3b1c9d4e-0000-4000-8000-000000000001"}

    first, second = post(person, "messages", **sent), post(person, "messages", **sent)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] == second.json()["id"]
    assert Message.objects.count() == 1


def test_a_second_decision_is_told_and_changes_nothing(person: Client, ordered: Turn) -> None:
    first = post(person, approval_path(ordered))
    second = post(person, approval_path(ordered, "deny"), reason="No")

    assert (first.status_code, second.status_code) == (200, 409)
    assert second.json() == {"error": "This was decided already, or is over."}
    assert Approval.objects.get().status == Approval.Status.APPROVED


def test_what_is_over_is_409(person: Client, ordered: Turn) -> None:
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert post(person, approval_path(ordered)).status_code == 409


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"arguments": {"sku": "MUG", "count": 99}}, "must be at most 9"),
        ({"arguments": {"sku": "MUG"}}, "lacks"),
        ({"arguments": []}, "arguments: Input should be"),
        ({"scope": "for ever"}, "scope: Input should be"),
    ],
)
def test_arguments_that_do_not_fit_are_422(
    person: Client, ordered: Turn, body: Any, told: str
) -> None:
    answer = post(person, approval_path(ordered), **body)

    assert answer.status_code == 422
    assert told in answer.json()["error"]
    assert Approval.objects.get().status == Approval.Status.WAITING


@pytest.mark.parametrize("body", [b"{", b'{"arguments": {"count": NaN}}', b'{"reason": "\\u0000"}'])
def test_what_is_no_storable_json_is_refused(person: Client, ordered: Turn, body: bytes) -> None:
    answer = person.post(f"/chat/api/{approval_path(ordered)}", body, "application/json")

    assert answer.status_code == 400
    assert answer.json()["error"]
    assert Approval.objects.get().status == Approval.Status.WAITING


def test_denying_and_resolving_let_the_turn_go_on(person: Client, ordered: Turn) -> None:
    denied = post(person, approval_path(ordered, "deny"), reason="Too many")
    ordered.refresh_from_db()
    assert (denied.status_code, ordered.status) == (200, Turn.Status.QUEUED)
    assert denied.json()["status"] == "refused"

    put(ordered, Turn.Status.WAITING)
    call = lose(ordered.tool_calls.get())
    resolved = post(person, f"calls/{call.pk}/resolve", outcome="failed")
    again = post(person, f"calls/{call.pk}/resolve", outcome="done")

    assert (resolved.status_code, resolved.json()["status"]) == (200, "failed")
    assert again.status_code == 409


def test_an_answer_that_does_not_fit_is_422(person: Client, begin: Any) -> None:
    turn = begin(asking_for_contact(), {})
    approve_it(turn)
    question = Question.objects.get()

    bad = post(person, f"questions/{question.pk}/answer", action="accept", content={"name": "A"})
    good = post(person, f"questions/{question.pk}/answer", action="cancel")
    run_turn(turn.pk)

    assert bad.status_code == 422
    assert "mail" in bad.json()["error"]
    assert good.status_code == 200
    assert '"action":"cancel"' in turn.tool_calls.get().result_text


def test_a_message_while_the_turn_waits_is_409(person: Client, ordered: Turn) -> None:
    answer = post(person, "messages", text="Now?", conversation=str(ordered.conversation_id))

    assert answer.status_code == 409
    assert "waits for your decision" in answer.json()["error"]


@pytest.mark.parametrize(
    ("fields", "rights"),
    [({}, ()), ({}, ("approve_for_others",)), ({"is_superuser": True, "is_staff": True}, ())],
)
def test_another_persons_rows_do_not_exist(
    ordered: Turn, django_user_model: Any, fields: Any, rights: Any
) -> None:
    other = browser_of(django_user_model, "eve", *rights, **fields)

    answers = ask_all(other, ordered)

    assert {each.status_code for each in answers} == {404}
    assert all(each.json() == answers[0].json() for each in answers)
    assert other.get("/chat/api/waiting").json() == {"own": [], "others": []}
    assert other.get("/chat/api/grants").json() == []
    assert Approval.objects.get().status == Approval.Status.WAITING


def test_nobody_who_is_not_logged_in_learns_anything(client: Client, ordered: Turn) -> None:
    answers = ask_all(client, ordered)

    assert {each.status_code for each in answers} == {401}
    assert client.get("/chat/api/waiting").json() == {"error": "Log in first."}


def test_no_change_without_the_csrf_token(user: Any, ordered: Turn) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)

    answers = ask_all(browser, ordered)

    statuses = {(each.request["REQUEST_METHOD"], each.status_code) for each in answers}
    assert statuses == {("GET", 200), ("POST", 403)}
    assert all(each.headers["Content-Type"].startswith("application/json") for each in answers)
    assert Approval.objects.get().status == Approval.Status.WAITING


def test_a_second_person_sees_the_call_and_nothing_else(
    person: Client, begin: Any, django_user_model: Any
) -> None:
    turn = begin(ordering(), {"sku": "MUG", "count": 2}, second=True)
    second = browser_of(django_user_model, "sam", "approve_for_others")
    [call] = second.get("/chat/api/waiting").json()["others"]

    assert call["arguments"] == {"sku": "MUG", "count": 2}
    assert call["approval"]["asked_by"] == "ann"
    assert (call["turn"], call["conversation"], call["result"]) == (None, None, "")
    assert person.get("/chat/api/waiting").json()["own"] == []
    assert post(person, approval_path(turn)).status_code == 403
    assert post(second, approval_path(turn), scope="always").status_code == 200
    assert not ToolGrant.objects.exists()
    run_turn(turn.pk)
    assert turn.tool_calls.get().status == ToolCall.Status.SUCCEEDED
    late = post(second, approval_path(turn, "deny"))
    assert late.status_code == 409


@pytest.mark.parametrize("path", ["", "nothing", "docs", "openapi.json", "turns/1", "../admin"])
def test_there_is_nothing_else(person: Client, path: str, executor: Any) -> None:
    assert person.get(f"/chat/api/{path}").status_code == 404


def test_a_wrong_method_is_refused(person: Client, ordered: Turn) -> None:
    assert person.get(f"/chat/api/{approval_path(ordered)}").status_code == 405


def test_the_documents_are_shown_where_the_site_wants_them(
    person: Client, settings: Any, executor: Any
) -> None:
    settings.AUTOMATE = {"API_DOCS": True}
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "ninja"]

    schema = person.get("/chat/api/openapi.json").json()
    page = person.get("/chat/api/docs")

    assert "/chat/api/approvals/{approval_id}/approve" in schema["paths"]
    assert page.status_code == 200
    assert "/chat/api/openapi.json" in page.content.decode()
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert Client().get("/chat/api/docs").status_code == 404


def test_the_framework_is_not_loaded_before_the_first_request() -> None:
    program = (
        "import sys, django\n"
        "django.setup()\n"
        "from django.core.management import call_command\n"
        "from django.urls import reverse\n"
        "call_command('check')\n"
        "assert reverse('chat:api', args=['waiting']) == '/chat/api/waiting'\n"
        "assert 'ninja' not in sys.modules and 'pydantic' not in sys.modules\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_a_message_of_a_program_brings_files_and_names_its_model(
    person: Client, executor: Any, settings: Any
) -> None:
    settings.AUTOMATE = {"MODELS": {"default": {"MODEL": "one"}, "second": {"MODEL": "two"}}}
    file = {"name": "a.txt", "data": base64.b64encode(b"words").decode()}

    turn = post(person, "messages", attachments=[file], model="second").json()

    [shown] = turn["messages"][0]["attachments"]
    assert turn["model"] == "second"
    assert (shown["name"], shown["media_type"], shown["bytes"]) == ("a.txt", "text/plain", 5)
    assert person.get(shown["url"]).content == b"words"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"text": "Hi", "model": "third"}, "no such model"),
        ({"attachments": [{"name": "a", "data": "%"}]}, "not Base64"),
        ({"attachments": [{"name": "a", "data": ""}]}, "empty"),
        ({}, "Write a message first."),
    ],
)
def test_a_message_of_a_program_is_refused_with_the_reason(
    person: Client, executor: Any, settings: Any, body: dict[str, Any], why: str
) -> None:
    settings.AUTOMATE = {"MODELS": {"default": {"MODEL": "one"}}}

    answer = post(person, "messages", **body)

    assert answer.status_code == 422
    assert why in answer.json()["error"]
    assert not Turn.objects.exists()


def test_a_request_that_is_too_large_is_told_in_words(person: Client, executor: Any) -> None:
    answer = post(person, "messages", attachments=[{"name": "a", "data": "A" * 3_000_000}])

    assert answer.status_code == 413
    assert answer.json() == {"error": "This is more than the site takes in one request."}
