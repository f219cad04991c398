"""The chat pages: who sees what, and what a person can do without JavaScript."""

import re
import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from chat.models import Conversation, Message, Turn
from chat.security import CHAT_POLICY, CONTENT_SECURITY_POLICY

from .rows import put

pytestmark = pytest.mark.django_db

FILING = ("rename", "pin", "unpin", "archive", "unarchive", "delete", "restore")


@pytest.fixture
def person(client: Client, user: Any) -> Client:
    """A browser in which the user is logged in."""
    client.force_login(user)
    return client


@pytest.fixture
def stranger(django_user_model: Any) -> Client:
    """A browser in which somebody else is logged in."""
    browser = Client()
    browser.force_login(django_user_model.objects.create_user("eve"))
    return browser


def end(turn: Turn, status: str = Turn.Status.DONE, answer: str = "There are **7**.") -> Turn:
    """Give a turn an end and, where there is one, an answer."""
    if answer:
        Message.objects.create(
            conversation=turn.conversation,
            turn=turn,
            role=Message.Role.ASSISTANT,
            content=answer,
        )
    return put(turn, status)


def addresses(turn: Turn) -> list[tuple[str, str]]:
    """Every address of a conversation and its turn, with the method that it takes."""
    conversation = turn.conversation.pk
    return [
        ("get", reverse("chat:conversation", args=[conversation])),
        ("post", reverse("chat:send", args=[conversation])),
        ("get", reverse("chat:manage", args=[conversation])),
        *(("post", reverse(f"chat:{each}", args=[conversation])) for each in FILING),
        ("get", reverse("chat:events", args=[turn.pk])),
        ("post", reverse("chat:stop", args=[turn.pk])),
        ("post", reverse("chat:continue", args=[turn.pk])),
    ]


def test_another_persons_conversation_does_not_exist(stranger: Client, ask: Any) -> None:
    turn = ask()

    statuses = {
        address: getattr(stranger, method)(
            address, {"text": "Mine now", "title": "Mine"}
        ).status_code
        for method, address in addresses(turn)
    }
    turn.refresh_from_db()

    assert set(statuses.values()) == {404}
    assert turn.status == Turn.Status.QUEUED
    assert Message.objects.count() == 1


def test_a_superuser_does_not_see_other_peoples_conversations(
    client: Client, admin_user: Any, ask: Any
) -> None:
    turn = ask()
    client.force_login(admin_user)

    assert {getattr(client, method)(path).status_code for method, path in addresses(turn)} == {404}


def test_another_persons_conversation_is_not_in_the_list(stranger: Client, ask: Any) -> None:
    ask("My secret plan")

    page = stranger.get(reverse("chat:conversations")).content.decode()

    assert "My secret plan" not in page


def test_somebody_who_is_not_logged_in_is_asked_to(client: Client, ask: Any) -> None:
    turn = ask()
    pages = [
        ("get", reverse("chat:index")),
        ("get", reverse("chat:conversations")),
        ("post", reverse("chat:send")),
        *addresses(turn),
    ]
    streams = [path for _, path in pages if path.endswith("/events/")]

    for method, path in pages:
        answer = getattr(client, method)(path, {"text": "Hello"})
        if path in streams:
            assert answer.status_code == 401
        else:
            assert answer.status_code == 302
            assert answer.headers["Location"].startswith(reverse("login"))
    assert Turn.objects.get() == turn


def test_a_fragment_sends_the_whole_page_to_the_login(client: Client) -> None:
    answer = client.post(
        reverse("chat:send"),
        headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/chat/"},
    )

    assert answer.headers["HX-Redirect"] == f"{reverse('login')}?next=/chat/"
    assert answer.content == b""


def test_nothing_is_done_without_the_csrf_token(user: Any, ask: Any) -> None:
    turn = ask()
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)

    posts = [path for method, path in addresses(turn) if method == "post"]
    statuses = {browser.post(path, {"text": "x"}).status_code for path in posts}
    turn.refresh_from_db()

    assert statuses == {403}
    assert turn.status == Turn.Status.QUEUED
    assert Conversation.objects.count() == 1


def test_nothing_is_done_by_following_a_link(person: Client, ask: Any) -> None:
    turn = end(ask(), Turn.Status.FAILED)

    for method, path in addresses(turn):
        if method == "post":
            assert person.get(path).status_code in (200, 405)
    assert person.get(reverse("chat:send")).status_code == 405
    assert Turn.objects.count() == 1
    assert Conversation.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_first_message_begins_a_conversation_and_shows_it(person: Client, executor: Any) -> None:
    answer = person.post(reverse("chat:send"), {"text": "How many mugs?"}, follow=True)

    turn = Turn.objects.get()
    page = answer.content.decode()
    assert answer.redirect_chain == [(f"/chat/conversations/{turn.conversation_id}/", 302)]
    assert "How many mugs?" in page
    assert f'data-stream="{reverse("chat:events", args=[turn.pk])}"' in page
    assert executor.turn_ids == [turn.pk]


def test_a_message_that_is_sent_twice_is_one(person: Client, executor: Any) -> None:
    page = person.get(reverse("chat:index")).content.decode()
    submission = re.search(r'name="submission" value="([^"]+)"', page)
    assert submission
    message = {"text": "Once", "submission": submission[1]}

    first, second = (person.post(reverse("chat:send"), message) for _ in range(2))

    assert first.headers["Location"] == second.headers["Location"]
    assert Message.objects.count() == 1


def test_a_broken_submission_id_costs_nobody_the_message(person: Client, executor: Any) -> None:
    person.post(reverse("chat:send"), {"text": "Hello", "submission": "' or 1=1"})

    assert Message.objects.get().content == "Hello"


def test_a_fragments_request_gets_the_turn_and_the_stop_button(person: Client, ask: Any) -> None:
    conversation = end(ask()).conversation

    answer = person.post(
        reverse("chat:send", args=[conversation.pk]),
        {"text": "And red ones?"},
        headers={"HX-Request": "true"},
    )

    turn = Turn.objects.latest("created_at")
    html = answer.content.decode()
    assert f'id="turn-{turn.pk}"' in html
    assert "And red ones?" in html
    assert f'formaction="{reverse("chat:stop", args=[turn.pk])}"' in html
    assert "<html" not in html
    assert "conversations-changed" in answer.headers["HX-Trigger"]


@pytest.mark.parametrize("text", ["", "   \n", "\x00"])
def test_an_empty_message_is_refused_in_words(person: Client, executor: Any, text: str) -> None:
    answer = person.post(reverse("chat:send"), {"text": text})

    assert answer.status_code == 422
    assert "Write a message first." in answer.content.decode()
    assert not Conversation.objects.exists()


def test_a_message_of_a_megabyte_is_refused_in_words_and_kept_in_the_field(
    person: Client, executor: Any
) -> None:
    text = "mug " * 250_000

    answer = person.post(reverse("chat:send"), {"text": text})

    page = answer.content.decode()
    assert answer.status_code == 422
    assert "1,000,000 characters" in page or "999,999 characters" in page
    assert "mug mug mug" in page
    assert not Conversation.objects.exists()


def test_a_refusal_for_a_fragment_is_the_sentence_alone(person: Client, ask: Any) -> None:
    conversation = ask().conversation
    address = reverse("chat:send", args=[conversation.pk])

    answer = person.post(address, {"text": "More"}, headers={"HX-Request": "true"})

    assert answer.status_code == 409
    assert "still answering" in answer.content.decode()
    assert "<section" not in answer.content.decode()


def test_a_message_while_the_assistant_answers_is_refused_and_kept_in_the_field(
    person: Client, ask: Any
) -> None:
    conversation = ask().conversation

    answer = person.post(reverse("chat:send", args=[conversation.pk]), {"text": "My long text"})

    page = answer.content.decode()
    assert answer.status_code == 409
    assert "still answering" in page
    assert "My long text</textarea>" in page
    assert Message.objects.count() == 1


def test_stop_ends_a_turn_and_goes_back_to_the_conversation(person: Client, ask: Any) -> None:
    turn = ask()

    answer = person.post(reverse("chat:stop", args=[turn.pk]))
    turn.refresh_from_db()

    assert turn.status == Turn.Status.CANCELLED
    assert answer.headers["Location"] == reverse("chat:conversation", args=[turn.conversation_id])


@pytest.mark.django_db(transaction=True)
def test_a_turn_that_failed_can_be_tried_again(person: Client, ask: Any, executor: Any) -> None:
    failed = end(ask(), Turn.Status.FAILED, answer="")
    page = person.get(reverse("chat:conversation", args=[failed.conversation_id]))
    assert reverse("chat:continue", args=[failed.pk]) in page.content.decode()

    person.post(reverse("chat:continue", args=[failed.pk]), {"submission": str(uuid.uuid4())})

    again = Turn.objects.latest("created_at")
    assert again != failed
    assert executor.turn_ids == [failed.pk, again.pk]
    assert Message.objects.count() == 1


@pytest.mark.parametrize("status", [Turn.Status.DONE, Turn.Status.QUEUED, Turn.Status.RUNNING])
def test_a_turn_that_did_not_end_badly_is_not_tried_again(
    person: Client, ask: Any, status: str
) -> None:
    turn = end(ask(), status)

    person.post(reverse("chat:continue", args=[turn.pk]))

    assert Turn.objects.get() == turn


def test_only_the_last_turn_is_tried_again(person: Client, ask: Any) -> None:
    failed = end(ask(), Turn.Status.FAILED)
    end(ask("Next", failed.conversation))

    person.post(reverse("chat:continue", args=[failed.pk]))

    assert Turn.objects.count() == 2


def test_every_page_stands_under_the_content_policy(person: Client, ask: Any) -> None:
    turn = end(ask())
    pages = [
        reverse("chat:index"),
        reverse("chat:conversation", args=[turn.conversation_id]),
        reverse("chat:manage", args=[turn.conversation_id]),
        reverse("chat:archived"),
        reverse("chat:conversations"),
        reverse("login"),
    ]

    for path in pages:
        answer = person.get(path)
        html = answer.content.decode()
        policy = CONTENT_SECURITY_POLICY if path == reverse("login") else CHAT_POLICY
        assert answer.headers["Content-Security-Policy"] == policy
        assert "<style" not in html
        assert " style=" not in html
        assert re.findall(r"<script(?![^>]* src=)", html) == []
        assert re.findall(r"\son\w+=", html) == []


def test_a_page_of_a_person_is_kept_by_no_cache(person: Client) -> None:
    answer = person.get(reverse("chat:index"))

    assert answer.headers["Cache-Control"] == "private, no-store"


def test_a_long_conversation_takes_a_fixed_number_of_queries(
    person: Client, ask: Any, django_assert_max_num_queries: Any
) -> None:
    turn = end(ask())
    for number in range(24):
        turn = end(ask(f"Question {number}", turn.conversation))
    address = reverse("chat:conversation", args=[turn.conversation_id])

    with django_assert_max_num_queries(10):
        page = person.get(address).content.decode()
    with django_assert_max_num_queries(10):
        whole = person.get(f"{address}?all").content.decode()

    assert page.count('<section class="turn"') == 20
    assert "Question 23" in page and "Question 3<" not in page
    assert "Show earlier messages" in page
    assert whole.count('<section class="turn"') == 25
    assert "Show earlier messages" not in whole


def test_a_page_without_javascript_loads_itself_again_until_the_answer_is_there(
    person: Client, ask: Any
) -> None:
    turn = ask()
    address = reverse("chat:conversation", args=[turn.conversation_id])
    refresh = '<noscript><meta http-equiv="refresh"'

    assert refresh in person.get(address).content.decode()
    end(turn)
    page = person.get(address).content.decode()
    assert refresh not in page
    assert "<strong>7</strong>" in page
