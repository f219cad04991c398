"""What a person does with whole conversations: titles, pins, the archive, deletion and undo."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from automate.models import MCPTool
from chat import filing, pages
from chat.models import Approval, Conversation, Message, Question, ToolCall, ToolGrant, Turn
from chat.submission import TurnInProgress, continue_turn, send_message
from chat.sweeping import sweep

from .rows import put
from .test_views import end, person, stranger

__all__ = ["person", "stranger"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("executor")]

HTMX = {"HX-Request": "true"}


def do(browser: Client, name: str, conversation: Conversation, **options: Any) -> Any:
    data = options.pop("data", {})
    return browser.post(reverse(f"chat:{name}", args=[conversation.pk]), data, **options)


def listed(browser: Client) -> str:
    return browser.get(reverse("chat:conversations")).content.decode()


def titles(user: Any) -> dict[str, list[str]]:
    return {each.title: [str(row) for row in each.conversations] for each in pages.history(user)[0]}


def test_a_person_gives_a_title(person: Client, ask: Any) -> None:
    conversation = end(ask("How many mugs?")).conversation

    answer = do(person, "rename", conversation, data={"title": "  Mugs \n in stock\x00 "})
    conversation.refresh_from_db()

    assert answer.headers["Location"] == reverse("chat:conversation", args=[conversation.pk])
    assert conversation.title == "Mugs in stock"
    assert conversation.titled_at is not None
    assert "Mugs in stock" in listed(person)


@pytest.mark.parametrize(
    ("title", "why"), [("  \x00 ", "Write a title first."), ("m" * 121, "the limit is 120")]
)
def test_a_title_that_cannot_be_one_is_refused_in_words_and_kept_in_the_field(
    person: Client, ask: Any, title: str, why: str
) -> None:
    conversation = end(ask("How many mugs?")).conversation

    for headers in ({}, HTMX):
        answer = do(person, "rename", conversation, data={"title": title}, headers=headers)
        assert answer.status_code == 422
        assert why in answer.content.decode()
        assert title.strip(" \x00") in answer.content.decode()
    conversation.refresh_from_db()
    assert conversation.title == "How many mugs?"


def test_pinned_conversations_stand_first_and_archived_ones_elsewhere(
    person: Client, user: Any, ask: Any
) -> None:
    mugs, cups, jars = (end(ask(word)).conversation for word in ("mugs", "cups", "jars"))

    do(person, "pin", mugs)
    do(person, "archive", cups)

    assert titles(user) == {"Pinned": ["mugs"], "Today": ["jars"]}
    assert "cups" in person.get(reverse("chat:archived")).content.decode()
    assert "Archived" in page_of(person, cups)
    do(person, "unpin", mugs)
    do(person, "unarchive", cups)
    assert titles(user) == {"Today": ["jars", "cups", "mugs"]}
    assert jars.pinned_at is None


def page_of(browser: Client, conversation: Conversation) -> str:
    address = reverse("chat:conversation", args=[conversation.pk])
    return browser.get(address).content.decode()


def test_a_message_brings_an_archived_conversation_back(user: Any, ask: Any) -> None:
    conversation = end(ask("mugs")).conversation
    filing.archive(conversation)

    ask("And cups?", conversation)

    assert titles(user) == {"Today": ["mugs"]}


def test_the_menu_is_a_page_and_a_part_of_one(person: Client, ask: Any) -> None:
    conversation = end(ask("mugs")).conversation
    address = reverse("chat:manage", args=[conversation.pk])

    page, menu = person.get(address), person.get(address, headers=HTMX)

    for name in ("rename", "pin", "archive", "delete"):
        action = reverse(f"chat:{name}", args=[conversation.pk])
        assert f'action="{action}"' in page.content.decode()
        assert f'hx-post="{action}"' in menu.content.decode()
    assert "<html" not in menu.content.decode()


def test_what_is_done_in_the_menu_is_told_and_the_bar_follows_on_its_own_page(
    person: Client, ask: Any
) -> None:
    conversation = end(ask("mugs")).conversation
    shown = {"HX-Current-URL": f"http://testserver/chat/conversations/{conversation.pk}/"}

    here = do(person, "archive", conversation, headers=HTMX | shown)
    elsewhere = do(person, "pin", conversation, headers=HTMX)

    assert "is in the archive now" in here.content.decode()
    assert reverse("chat:unarchive", args=[conversation.pk]) in here.content.decode()
    assert "Pinned." in elsewhere.content.decode()
    assert 'id="bar-conversation"' in here.content.decode()
    assert 'id="bar-conversation"' not in elsewhere.content.decode()
    assert "conversations-changed" in here.headers["HX-Trigger"]


def everything_of(turn: Turn, file_id: int = 0) -> list[tuple[str, str]]:
    """Every address by which a person comes to what is in a conversation."""
    call = turn.tool_calls.get()
    conversation = turn.conversation_id
    posts = ("send", "rename", "pin", "unpin", "archive", "unarchive")
    return [
        ("get", reverse("chat:conversation", args=[conversation])),
        ("get", reverse("chat:manage", args=[conversation])),
        *(("post", reverse(f"chat:{name}", args=[conversation])) for name in posts),
        ("get", reverse("chat:events", args=[turn.pk])),
        ("post", reverse("chat:stop", args=[turn.pk])),
        ("post", reverse("chat:continue", args=[turn.pk])),
        ("post", reverse("chat:decide", args=[Approval.objects.get(call=call).pk])),
        ("post", reverse("chat:answer", args=[Question.objects.get(call=call).pk])),
        ("post", reverse("chat:resolve", args=[call.pk])),
        ("post", reverse("chat:revoke", args=[ToolGrant.objects.get().pk])),
        ("get", f"/chat/api/conversations/{conversation}"),
        ("post", f"/chat/api/conversations/{conversation}"),
        ("get", f"/chat/api/turns/{turn.pk}"),
    ]


def sent_as(path: str) -> str:
    return "application/json" if "/api/" in path else "application/x-www-form-urlencoded"


@pytest.fixture
def full(user: Any, ask: Any, shop: Any) -> Turn:
    """A turn that waits, with one row of each kind that hangs on it."""
    from tests.servers.mcp_sdk import Offer

    shop(Offer("order"))
    turn: Turn = ask("My secret plan")
    message = Message.objects.create(
        conversation=turn.conversation, turn=turn, role=Message.Role.ASSISTANT
    )
    call = ToolCall.objects.create(
        turn=turn, message=message, call_id="1", function_name="f", status="waiting"
    )
    later = timezone.now() + timedelta(hours=1)
    Approval.objects.create(call=call, user=user, expires_at=later)
    Question.objects.create(call=call, key="q", expires_at=later)
    ToolGrant.objects.create(
        user=user, tool=MCPTool.objects.get(), conversation=turn.conversation, definition_hash="x"
    )
    return put(turn, Turn.Status.WAITING)


def test_a_deleted_conversation_is_gone_at_once_and_nothing_goes_on_in_it(
    person: Client, full: Turn
) -> None:
    answer = do(person, "delete", full.conversation)
    full.refresh_from_db()

    assert full.status == Turn.Status.CANCELLED
    assert Approval.objects.get().status == Approval.Status.WITHDRAWN
    statuses = {
        path: getattr(person, method)(path, content_type=sent_as(path)).status_code
        for method, path in everything_of(full)
    }
    assert {path: status for path, status in statuses.items() if status != 404} == {}
    for path in ("conversations", "inbox", "archived"):
        assert "secret plan" not in person.get(reverse(f"chat:{path}")).content.decode()
    assert person.get("/chat/api/conversations").json() == []
    assert "secret plan" in person.get(answer.headers["Location"]).content.decode()


def test_undo_brings_it_back_as_it_was(person: Client, full: Turn) -> None:
    offer = do(person, "delete", full.conversation)
    undo = reverse("chat:restore", args=[full.conversation_id])
    assert f'action="{undo}"' in person.get(offer.headers["Location"]).content.decode()

    answer = person.post(undo)

    assert person.get(answer.headers["Location"]).status_code == 200
    assert "My secret plan" in listed(person)
    assert f'action="{undo}"' not in person.get(offer.headers["Location"]).content.decode()


def test_a_second_click_on_delete_or_undo_changes_nothing(person: Client, ask: Any) -> None:
    conversation = end(ask("mugs")).conversation

    first, second = (do(person, "delete", conversation) for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    again = [do(person, "restore", conversation).status_code for _ in range(2)]

    assert again == [302, 302]
    assert "mugs" in listed(person)


def test_in_the_list_undo_comes_without_leaving_the_page(person: Client, ask: Any) -> None:
    mugs, cups = (end(ask(word)).conversation for word in ("mugs", "cups"))
    shown = {"HX-Current-URL": f"http://testserver/chat/conversations/{mugs.pk}/"}

    other = do(person, "delete", cups, headers=HTMX | shown)
    own = do(person, "delete", mugs, headers=HTMX | shown)

    assert reverse("chat:restore", args=[cups.pk]) in other.content.decode()
    assert own.headers["HX-Redirect"] == f"/chat/?deleted={mugs.pk}"


@pytest.mark.parametrize("rubbish", ["x", "{}", "%00", "0" * 32])
def test_an_undo_of_nothing_is_a_new_conversation(person: Client, rubbish: str) -> None:
    page = person.get(reverse("chat:index"), {"deleted": rubbish})

    assert page.status_code == 200
    assert "data-undo" not in page.content.decode()


def test_another_persons_deleted_conversation_is_not_offered(
    stranger: Client, ask: Any, user: Any
) -> None:
    conversation = end(ask("mugs")).conversation
    filing.delete(conversation)

    page = stranger.get(reverse("chat:index"), {"deleted": str(conversation.pk)})

    assert "mugs" not in page.content.decode()
    assert do(stranger, "restore", conversation).status_code == 404


def test_a_sweep_removes_what_was_deleted_long_enough_ago(
    person: Client, ask: Any, settings: Any
) -> None:
    settings.AUTOMATE = {**settings.AUTOMATE, "DELETED_CONVERSATION_SECONDS": 60.0}
    old, young, kept = (end(ask(word)).conversation for word in ("old", "young", "kept"))
    filing.delete(old)
    filing.delete(young)
    past = timezone.now() - timedelta(seconds=61)
    Conversation.objects.filter(pk=old.pk).update(deleted_at=past)

    assert sweep().purged == 1
    assert set(Conversation.objects.all()) == {young, kept}
    assert do(person, "restore", old).status_code == 404
    assert sweep().purged == 0


def test_nothing_begins_in_a_conversation_that_was_deleted_meanwhile(user: Any, ask: Any) -> None:
    turn = end(ask("mugs"), Turn.Status.FAILED)
    stale = Conversation.objects.get(pk=turn.conversation_id)
    filing.delete(turn.conversation)

    with pytest.raises(TurnInProgress, match="deleted"):
        send_message(user, stale, "And cups?", uuid4())
    with pytest.raises(TurnInProgress, match="deleted"):
        continue_turn(turn, uuid4())
    assert Message.objects.filter(content="And cups?").count() == 0
    assert Turn.objects.get() == turn


def test_what_was_sent_to_a_deleted_conversation_is_not_sent_anew(
    person: Client, ask: Any, user: Any
) -> None:
    turn = end(ask("mugs"))
    filing.delete(turn.conversation)

    again = send_message(user, None, "mugs", turn.submission)

    assert again == turn
    assert Conversation.objects.count() == 1


def test_the_api_lists_renames_pins_archives_and_deletes(person: Client, ask: Any) -> None:
    conversation = end(ask("mugs")).conversation
    path = f"/chat/api/conversations/{conversation.pk}"

    def post(what: str, **body: Any) -> Any:
        return person.post(what, body, "application/json")

    assert person.get("/chat/api/conversations").json()[0]["titled_by_person"] is False
    changed = post(path, title="Mugs", pinned=True, archived=True).json()
    assert (changed["title"], changed["titled_by_person"]) == ("Mugs", True)
    assert changed["pinned_at"] and changed["archived_at"]
    assert person.get("/chat/api/conversations").json() == []
    [archived] = person.get("/chat/api/conversations?archived=true").json()
    assert archived["id"] == str(conversation.pk)
    assert post(path, pinned=False, archived=False).json()["archived_at"] is None
    refused = post(path, title="m" * 200, pinned=True)
    assert refused.status_code == 422
    assert person.get(path).json()["pinned_at"] is None
    assert post(f"{path}/delete").status_code == 200
    assert person.get(path).status_code == 404
    assert post(f"{path}/restore").json()["title"] == "Mugs"
