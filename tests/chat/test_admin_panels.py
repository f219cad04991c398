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
from chat.models import CallRecord

pytestmark = pytest.mark.django_db

LIST = "/admin/automate/mcpserver/"
CALLS = "/admin/automate_chat/callrecord/"


def add_tool(slug: str) -> MCPTool:
    server = MCPServer.objects.create(name=slug, slug=slug, endpoint_url="http://127.0.0.1:1/api")
    return MCPTool.objects.create(server=server, name="search")


def add_calls(tool: MCPTool, outcomes: Sequence[str]) -> None:
    CallRecord.objects.bulk_create(
        CallRecord(user_name="ann", tool=tool, tool_name="<search>\u202e", outcome=outcome)
        for outcome in outcomes
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
    admin_client: Client, statuses: list[str], words: str, badge: str
) -> None:
    add_calls(add_tool("shop"), statuses)

    shown = admin_client.get(LIST).content.decode()

    assert words in shown
    assert f'class="automate-badge automate-{badge}"' in shown


def test_all_servers_of_a_page_take_one_query_for_their_calls(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        add_calls(add_tool(f"s{number}"), ["succeeded", "failed"])

    with CaptureQueriesContext(connection) as queries:
        shown = admin_client.get(LIST).content.decode()

    assert shown.count("Of the last 2 calls 1 went well.") == 12
    assert sum("automate_chat_callrecord" in query["sql"] for query in queries) == 1

    monkeypatch.setattr(panels, "RECENT_CALLS", 3)
    shown = admin_client.get(LIST).content.decode()
    assert shown.count("calls 1 went well.") + shown.count("The last call:") == 2


def test_calls_are_shown_to_those_alone_who_may_see_the_audit(
    admin_client: Client, client: Client, django_user_model: Any
) -> None:
    tool = add_tool("shop")
    add_calls(tool, ["failed"])
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


def test_a_tools_page_tells_how_it_is_used(admin_client: Client) -> None:
    tool = add_tool("shop")
    page = reverse("admin:automate_mcptool_change", args=[tool.pk])
    assert "It was not called yet." in admin_client.get(page).content.decode()
    for number in range(1, 101):
        CallRecord.objects.create(
            user_name="<ann>",
            tool=tool,
            tool_name="search",
            outcome="failed" if number > 90 else "succeeded",
            milliseconds=number,
            cost="0.001",
        )
    CallRecord.objects.create(user_name="bob", tool=tool, tool_name="search", outcome="refused")

    with CaptureQueriesContext(connection) as queries:
        shown = admin_client.get(page).content.decode()

    for words in ("100 in all, 10 went wrong", "50 ms", "95 ms", "0.1000", "&lt;ann&gt;"):
        assert words in shown, words
    assert '<svg class="automate-chart"' in shown and "chat/admin.css" in shown
    assert sum("automate_chat_callrecord" in query["sql"] for query in queries) == 3
    assert admin_client.get(f"{CALLS}?tool__id__exact={tool.pk}").status_code == 200


def test_the_list_finds_the_tools_that_fail(admin_client: Client) -> None:
    well, badly, idle = add_tool("well"), add_tool("badly"), add_tool("idle")
    add_calls(well, ["succeeded", "succeeded", "failed", "refused"])
    add_calls(badly, ["succeeded", "unknown"])

    shown = admin_client.get("/admin/automate/mcptool/?failing=yes").content.decode()

    assert [f"/mcptool/{tool.pk}/" in shown for tool in (well, badly, idle)] == [False, True, False]
