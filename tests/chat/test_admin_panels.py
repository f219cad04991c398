"""What the chat adds to the pages of servers in the registry's admin."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from automate.models import MCPServer, MCPTool
from chat.admin import panels
from chat.models import Message, ToolCall, Turn

pytestmark = pytest.mark.django_db

LIST = "/admin/automate/mcpserver/"


def add_tool(slug: str) -> MCPTool:
    server = MCPServer.objects.create(name=slug, slug=slug, endpoint_url="http://127.0.0.1:1/api")
    return MCPTool.objects.create(server=server, name="search")


def add_calls(turn: Turn, tool: MCPTool, statuses: Sequence[str]) -> None:
    message = Message.objects.create(
        conversation=turn.conversation, turn=turn, role=Message.Role.ASSISTANT
    )
    ToolCall.objects.bulk_create(
        ToolCall(
            turn=turn,
            message=message,
            tool=tool,
            call_id=str(number),
            function_name="<search>\u202e",
            status=status,
        )
        for number, status in enumerate(statuses)
    )


@pytest.mark.parametrize(
    ("statuses", "words", "badge"),
    [
        (["succeeded"] * 30, "Of the last 20 calls 20 went well.", "good"),
        (["failed"] * 5 + ["succeeded"] * 20, "Of the last 20 calls 20 went well.", "good"),
        (["succeeded"] * 18 + ["failed", "refused"], "19 calls 18 went well.", "doubtful"),
        (["failed", "succeeded", "unknown"], "Of the last 3 calls 1 went well.", "bad"),
        (["cancelled", "refused"], "Not known yet", "off"),
    ],
)
def test_the_badge_is_of_the_last_twenty_calls_that_were_tried(
    admin_client: Client, ask: Any, statuses: list[str], words: str, badge: str
) -> None:
    add_calls(ask(), add_tool("shop"), statuses)

    shown = admin_client.get(LIST).content.decode()

    assert words in shown
    assert f'class="automate-badge automate-{badge}"' in shown


def test_all_servers_of_a_page_take_one_query_for_their_calls(
    admin_client: Client, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = ask()
    for number in range(12):
        add_calls(turn, add_tool(f"s{number}"), ["succeeded", "failed"])

    with CaptureQueriesContext(connection) as queries:
        shown = admin_client.get(LIST).content.decode()

    assert shown.count("Of the last 2 calls 1 went well.") == 12
    assert sum("automate_chat_toolcall" in query["sql"] for query in queries) == 1

    monkeypatch.setattr(panels, "RECENT_CALLS", 3)
    shown = admin_client.get(LIST).content.decode()
    assert shown.count("calls 1 went well.") + shown.count("The last call:") == 2


def test_calls_are_shown_to_those_alone_who_may_see_the_audit(
    admin_client: Client, client: Client, ask: Any, django_user_model: Any
) -> None:
    tool = add_tool("shop")
    add_calls(ask(), tool, ["failed"])
    page = reverse("admin:automate_mcpserver_change", args=[tool.server_id])
    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_mcpserver"))
    client.force_login(viewer)

    of_superuser = admin_client.get(page).content.decode()
    of_viewer = client.get(page).content.decode()

    assert "Last calls" in of_superuser
    assert "&lt;search&gt;" in of_superuser
    assert "<search>" not in of_superuser and "\u202e" not in of_superuser
    assert "The last call: 0 went well." in of_viewer
    assert "Last calls" not in of_viewer
