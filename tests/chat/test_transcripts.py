"""Conversations as files to keep."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from markdown_it import MarkdownIt

from chat import filing
from chat.models import Turn

from .hostile import HOSTILE_BUNDLES
from .test_views import person, stranger
from .test_views_content import a_call, a_turn

__all__ = ["person", "stranger"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("executor")]


def exported(browser: Client, turn: Turn, form: str) -> Any:
    return browser.get(reverse("chat:export", args=[turn.conversation_id, form]))


def test_json_holds_messages_and_calls_as_they_are(person: Client, user: Any) -> None:
    turn = a_turn(user, "How many?", "**Seven**\x1b[1m \u202e")
    a_call(turn, status="succeeded", arguments={"sku": "MUG"}, result_text='{"stock":7}')

    answer = exported(person, turn, "json")

    [kept] = json.loads(answer.content)["turns"]
    assert [each["content"] for each in kept["messages"]] == [
        "How many?",
        "**Seven**\x1b[1m \u202e",
    ]
    [call] = kept["messages"][1]["calls"]
    assert (call["arguments"], call["result"]) == ({"sku": "MUG"}, '{"stock":7}')
    assert b"\x1b" not in answer.content
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_markdown_holds_messages_and_calls_to_read(person: Client, user: Any) -> None:
    turn = a_turn(user, "How many?", "**Seven**\x1b[1m")
    a_call(turn, status="succeeded", arguments={"sku": "MUG"}, result_text="```\n# no heading\n```")

    text = exported(person, turn, "markdown").content.decode()

    assert text.startswith("# How many?\n\n## You\n\nHow many?\n\n## Assistant\n\n**Seven**\n\n")
    assert "### Stock: Succeeded" in text
    assert '"sku": "MUG"' in text
    assert "\n````\n```\n# no heading\n```\n````\n" in text
    assert "\x1b" not in text


def test_hostile_titles_and_results_stay_what_they_are_in_markdown(
    user: Any, person: Client
) -> None:
    def shape(text: str) -> list[str]:
        turn = a_turn(user, text, "!")
        a_call(turn, title=text, server_name=text, arguments={"a": text}, result_text=text)
        turn.messages.filter(role="user").update(content="?")
        parsed = MarkdownIt("commonmark").parse(exported(person, turn, "markdown").content.decode())
        turn.conversation.delete()
        return [token.type for token in parsed]

    expected = shape("x")
    for text in ("# Not a heading\n\n- nor a list", "````\n~~~\n`", *HOSTILE_BUNDLES):
        assert shape(text) == expected, text


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("How many mugs?", 'filename="how-many-mugs.md"'),
        ('../../etc/passwd\r\nX: "y"', 'filename="etcpasswd-x-y.md"'),
        ("東京の天気", "filename*=utf-8''%E6%9D%B1%E4%BA%AC%E3%81%AE%E5%A4%A9%E6%B0%97.md"),
        ("???", 'filename="conversation.md"'),
        ("m" * 120, f'filename="{"m" * 60}.md"'),
    ],
)
def test_a_file_has_a_safe_name(person: Client, user: Any, title: str, name: str) -> None:
    answer = exported(person, a_turn(user, title), "markdown")

    assert answer.headers["Content-Disposition"] == f"attachment; {name}"


def test_only_the_owner_of_a_conversation_that_is_there_exports_it(
    person: Client, stranger: Client, user: Any
) -> None:
    turn = a_turn(user)

    for form in ("markdown", "json"):
        assert exported(person, turn, form).status_code == 200
        assert exported(stranger, turn, form).status_code == 404
        assert exported(Client(), turn, form).status_code == 302
    assert exported(person, turn, "pdf").status_code == 404
    filing.delete(turn.conversation)
    assert exported(person, turn, "json").status_code == 404
