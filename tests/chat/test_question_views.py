"""Questions of tools on pages: forms, addresses that nobody fetches, and words that stay text."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from chat.engine import run_turn
from chat.models import Approval, Question, Turn

from .deciding import PAGE, asking_for_a_visit, asking_for_contact
from .deciding_pages import HTMX, approve_it, begin, ordered, person

__all__ = ["begin", "ordered", "person"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def questioned(begin: Any) -> Turn:
    """A turn whose tool asks who the person is."""
    turn: Turn = begin(asking_for_contact(), {})
    approve_it(turn)
    return turn


def answer_url(turn: Turn) -> str:
    return reverse("chat:answer", args=[Question.objects.get(call__turn=turn).pk])


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
