"""What the chat pages show: tools, set-up, history, and foreign text that stays text."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from automate.models import MCPServer, MCPTool
from chat.models import Conversation, Message, ToolCall, Turn

from .hostile import HOSTILE_BUNDLES, elements
from .rows import put

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("executor")]

MODEL = {"default": {"MODEL": "m", "BASE_URL": "http://127.0.0.1:9/v1"}}


@pytest.fixture
def person(client: Client, user: Any) -> Client:
    """A browser in which the user is logged in."""
    client.force_login(user)
    return client


def a_tool(server: MCPServer, name: str, **fields: Any) -> MCPTool:
    return MCPTool.objects.create(
        server=server, name=name, function_name=f"{server.slug}__{name}", **fields
    )


def a_server(slug: str = "shop") -> MCPServer:
    return MCPServer.objects.create(name=slug.title(), slug=slug, endpoint_url="https://a.example")


def a_turn(user: Any, question: str = "?", answer: str = "!", **fields: Any) -> Turn:
    conversation = Conversation.objects.create(user=user, title=question[:120])
    turn = Turn.objects.create(conversation=conversation)
    put(turn, **{"status": Turn.Status.DONE, **fields})
    for role, content in ((Message.Role.USER, question), (Message.Role.ASSISTANT, answer)):
        Message.objects.create(conversation=conversation, turn=turn, role=role, content=content)
    return turn


def a_call(turn: Turn, **fields: Any) -> ToolCall:
    message = turn.messages.filter(role=Message.Role.ASSISTANT).get()
    values = {"call_id": "1", "function_name": "shop__stock", "title": "Stock", **fields}
    return ToolCall.objects.create(turn=turn, message=message, **values)


def page_of(person: Client, turn: Turn) -> str:
    return person.get(reverse("chat:conversation", args=[turn.conversation_id])).content.decode()


def card_of(page: str, call: ToolCall) -> str:
    start = page.index(f'id="call-{call.pk}"')
    return page[start : page.index("</details>", start)]


def a_turn_full_of(user: Any, text: str) -> Turn:
    """A turn with this text wherever a person, a model, a tool or a server can put some."""
    turn = a_turn(user, text, "!", status=Turn.Status.FAILED, notice=text)
    a_call(
        turn,
        title=text,
        server_name=text,
        function_name=text,
        error=text,
        arguments={text: [text]},
        result_text=text,
        status="failed",
    )
    a_call(turn, call_id="2", title="", function_name=text, arguments_text=text, status="refused")
    return turn


def test_hostile_text_anywhere_adds_no_element_to_the_page(
    person: Client, user: Any, settings: Any
) -> None:
    settings.AUTOMATE = {"MODELS": MODEL, "NOTICE": "x"}
    harmless = a_turn_full_of(user, "x")
    expected = _skeleton(page_of(person, harmless))
    harmless.conversation.delete()

    for text in HOSTILE_BUNDLES:
        settings.AUTOMATE = {"MODELS": MODEL, "NOTICE": text}
        turn = a_turn_full_of(user, text)
        assert _skeleton(page_of(person, turn)) == expected, text
        turn.conversation.delete()


def _skeleton(page: str) -> list[tuple[str, list[str]]]:
    """The elements of a page with the names of their attributes."""
    return [(tag, sorted(attributes)) for tag, attributes in elements(page)]


def test_a_failed_call_is_open_and_says_why(person: Client, user: Any) -> None:
    turn = a_turn(user)
    call = a_call(turn, server_name="Corner shop", status="failed", error="HTTP 404", arguments={})

    page = page_of(person, turn)

    card = card_of(page, call)
    assert " open>" in card
    assert "HTTP 404" in card
    assert "Corner shop" in card
    assert "Failed" in card


def test_a_call_that_succeeded_is_closed_and_holds_its_result(person: Client, user: Any) -> None:
    turn = a_turn(user)
    began = timezone.now()
    call = a_call(
        turn,
        status="succeeded",
        arguments={"sku": "MUG"},
        result_text='{"stock":7}',
        started_at=began,
        finished_at=began + timedelta(seconds=2.5),
    )

    page = page_of(person, turn)

    card = card_of(page, call)
    assert " open>" not in card
    assert "sku</span>" in card
    assert "&quot;MUG&quot;" in card
    assert '<span class="tree-number">7</span>' in card
    assert "2.5\N{NO-BREAK SPACE}s" in card


def test_a_huge_result_is_cut_and_says_so(person: Client, user: Any) -> None:
    turn = a_turn(user)
    a_call(turn, status="succeeded", result_text="x" * 50_000)

    page = page_of(person, turn)

    assert len(page) < 30_000
    assert "48,000 more characters" in page


def test_arguments_that_are_no_json_are_shown_as_written(person: Client, user: Any) -> None:
    turn = a_turn(user)
    a_call(turn, status="refused", arguments_text='{"sku": ')

    assert "{&quot;sku&quot;: " in page_of(person, turn)


def test_an_answer_that_breaks_off_says_so(person: Client, user: Any) -> None:
    turn = a_turn(user, status=Turn.Status.INTERRUPTED, notice="The server restarted.")
    turn.messages.filter(role=Message.Role.ASSISTANT).update(interrupted=True)

    page = page_of(person, turn)

    assert "The answer breaks off here." in page
    assert "The server restarted." in page


def test_the_notice_stands_on_every_page(person: Client, user: Any, settings: Any) -> None:
    settings.AUTOMATE = {"MODELS": MODEL, "NOTICE": "This is a demo."}
    turn = a_turn(user)

    for path in (
        reverse("chat:index"),
        reverse("chat:conversation", args=[turn.conversation_id]),
        reverse("chat:manage", args=[turn.conversation_id]),
        reverse("login"),
    ):
        assert "This is a demo." in person.get(path).content.decode()


def test_a_new_conversation_suggests_usable_tools_of_every_server(
    person: Client, settings: Any
) -> None:
    settings.AUTOMATE = {"MODELS": MODEL}
    shop, branches = a_server("shop"), a_server("branches")
    for number in range(5):
        a_tool(shop, f"shop_{number}", title=f"Shop tool {number}", description="Does. And more.")
    a_tool(branches, "opening_hours")
    a_tool(shop, "off", title="Switched off", enabled=False)

    page = person.get(reverse("chat:index")).content.decode()

    assert "Shop tool 0" in page
    assert "Opening hours" in page
    assert "Switched off" not in page
    assert page.count('<a href="?draft=') == 4


def test_a_suggestion_fills_the_field_and_sends_nothing(person: Client) -> None:
    page = person.get(reverse("chat:index"), {"draft": "Use </textarea><b>it"}).content.decode()

    assert "Use &lt;/textarea&gt;&lt;b&gt;it</textarea>" in page
    assert not Conversation.objects.exists()


def test_staff_are_told_what_to_set_up_next(person: Client, user: Any, settings: Any) -> None:
    user.is_staff = True
    user.save()
    settings.AUTOMATE = {}

    page = person.get(reverse("chat:index")).content.decode()
    assert "Name a model" in page
    assert reverse("admin:automate_mcpserver_add") in page

    settings.AUTOMATE = {"MODELS": MODEL}
    tool = a_tool(a_server(), "stock", review=MCPTool.Review.NEW, enabled=False)
    page = person.get(reverse("chat:index")).content.decode()
    assert "Name a model" not in page
    assert "Review the tools" in page

    MCPTool.objects.filter(pk=tool.pk).update(available=False)
    assert "Sync the tools" in person.get(reverse("chat:index")).content.decode()

    MCPTool.objects.filter(pk=tool.pk).update(available=True, review="approved", enabled=True)
    assert "To make this assistant useful" not in person.get(reverse("chat:index")).content.decode()


def test_others_are_only_told_that_something_is_missing(person: Client, settings: Any) -> None:
    settings.AUTOMATE = {}

    page = person.get(reverse("chat:index")).content.decode()

    assert "not set up completely" in page
    assert "Name a model" not in page
    assert "/admin/" not in page


def test_a_missing_key_is_named_and_never_shown(
    person: Client, user: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.is_staff = True
    user.save()
    monkeypatch.delenv("SOME_KEY", raising=False)
    settings.AUTOMATE = {"MODELS": {"default": {"MODEL": "m", "API_KEY": "env:SOME_KEY"}}}

    page = person.get(reverse("chat:index")).content.decode()

    assert "SOME_KEY" in page
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    page = person.get(reverse("chat:index")).content.decode()
    assert "API key" not in page
    assert "sk-secret" not in page


def test_conversations_are_listed_by_the_day_of_their_last_use(person: Client, user: Any) -> None:
    now = timezone.now()
    for title, days in (("New", 0), ("Week", 3), ("Month", 20), ("Ages", 400)):
        Conversation.objects.create(user=user, title=title, updated_at=now - timedelta(days=days))

    page = person.get(reverse("chat:conversations")).content.decode()

    places = [
        page.index(word)
        for word in ("Today", "New", "Last 7 days", "Week", "Last 30 days", "Older", "Ages")
    ]
    assert places == sorted(places)


def test_a_long_list_of_conversations_is_shown_on_demand(person: Client, user: Any) -> None:
    Conversation.objects.bulk_create(
        [Conversation(user=user, title=f"Talk {number}") for number in range(103)]
    )

    short = person.get(reverse("chat:conversations")).content.decode()
    whole = person.get(reverse("chat:conversations"), {"all": ""}).content.decode()

    assert short.count("<li ") == 100
    assert "Show all conversations" in short
    assert whole.count("<li ") == 103
    assert "Show all conversations" not in whole


def test_the_audit_shows_a_call_to_a_superuser_and_changes_nothing(
    client: Client, admin_user: Any, user: Any
) -> None:
    call = a_call(a_turn(user), status="succeeded", arguments_text="<b>", result_text="\x1b[1m7")
    client.force_login(admin_user)

    page = client.get(reverse("admin:automate_chat_toolcall_change", args=[call.pk]))

    assert "&lt;b&gt;" in page.content.decode()
    assert 'name="_save"' not in page.content.decode()
    assert client.get(reverse("admin:automate_chat_toolcall_changelist")).status_code == 200
    for model in ("conversation", "turn", "toolcall"):
        assert client.get(reverse(f"admin:automate_chat_{model}_changelist")).status_code == 200
        assert client.get(reverse(f"admin:automate_chat_{model}_add")).status_code == 403
    path = reverse("admin:automate_chat_toolcall_delete", args=[call.pk])
    assert client.post(path, {"post": "yes"}).status_code == 403
    assert ToolCall.objects.filter(pk=call.pk).exists()


def test_staff_who_are_no_superusers_do_not_see_the_audit(client: Client, user: Any) -> None:
    user.is_staff = True
    user.save()
    client.force_login(user)

    assert client.get(reverse("admin:automate_chat_toolcall_changelist")).status_code == 403


def test_a_person_can_be_deleted_with_all_conversations(
    client: Client, admin_user: Any, user: Any
) -> None:
    a_call(a_turn(user), status="succeeded")
    client.force_login(admin_user)

    client.post(reverse("admin:auth_user_delete", args=[user.pk]), {"post": "yes"})

    assert not Conversation.objects.exists()
