"""The admin of tools, as an operator's browser uses it."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from automate.models import MCPServer, MCPTool

from .making import TEXT_SCHEMA, add_server

LIST = "/admin/automate/mcptool/"
Review = MCPTool.Review
pytestmark = pytest.mark.django_db
NO_RULES = {"rules-TOTAL_FORMS": "0", "rules-INITIAL_FORMS": "0"}


def add_tool(name: str = "search", **fields: Any) -> MCPTool:
    server = MCPServer.objects.first() or add_server()
    return MCPTool.objects.create(server=server, name=name, input_schema=TEXT_SCHEMA, **fields)


def page_of(tool: MCPTool) -> str:
    return reverse("admin:automate_mcptool_change", args=[tool.pk])


def act(client: Client, action: str, *tools: MCPTool) -> list[str]:
    chosen = [tool.pk for tool in tools]
    answer = client.post(LIST, {"action": action, "_selected_action": chosen}, follow=True)
    return [str(each) for each in answer.context["messages"]]


def test_no_tool_is_typed_in(admin_client: Client) -> None:
    assert admin_client.get(f"{LIST}add/").status_code == 403


def test_tools_are_switched_in_bulk(admin_client: Client) -> None:
    tools = [add_tool("a"), add_tool("b")]

    assert act(admin_client, "disable", *tools) == ["2 tools disabled."]
    assert act(admin_client, "enable", tools[0]) == ["1 tool enabled."]
    assert MCPTool.objects.usable().get().name == "a"


def test_an_edit_touches_nothing_but_what_is_the_operators(admin_client: Client) -> None:
    tool = add_tool(description="Finds.")

    forged = {"description": "Forged.", "name": "forged", "version": 9, **NO_RULES}
    admin_client.post(page_of(tool), forged)

    row = MCPTool.objects.get()
    assert (row.enabled, row.description, row.name, row.version) == (False, "Finds.", "search", 1)


def test_the_page_shows_the_schema(admin_client: Client) -> None:
    tool = add_tool(review=Review.CHANGED)

    page = admin_client.get(page_of(tool)).content.decode()

    assert "&quot;properties&quot;: {\n    &quot;text&quot;" in page


def test_hostile_text_is_shown_as_text(admin_client: Client) -> None:
    tool = add_tool("<script>1</script>", title="<b>x</b>", description="</pre><script>2</script>")
    MCPTool.objects.update(input_schema={"type": "object", "title": "</pre><script>3</script>"})

    pages = admin_client.get(LIST).content, admin_client.get(page_of(tool)).content

    for text in (b"<script>1", b"<script>2", b"<script>3", b"<b>x"):
        assert not any(text in page for page in pages)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Ready."),
        ({"enabled": False}, "Off."),
        ({"available": False}, "Gone"),
        ({"review": Review.NEW}, "New"),
        ({"review": Review.CHANGED}, "Changed"),
        ({"schema_error": "It is broken."}, "It is broken."),
    ],
)
def test_the_list_says_in_words_what_is_wrong(
    admin_client: Client, fields: dict[str, Any], words: str
) -> None:
    MCPTool.objects.filter(pk=add_tool().pk).update(**fields)

    assert words in admin_client.get(LIST).content.decode()


def test_a_tool_whose_server_is_off_says_so(admin_client: Client) -> None:
    add_tool()
    MCPServer.objects.update(enabled=False)

    assert "Its server is off." in admin_client.get(LIST).content.decode()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("enabled__exact=0", {"off"}),
        ("available__exact=0", {"gone"}),
        ("waiting=new", {"new"}),
        ("waiting=yes", {"new"}),
        ("risk=destructive", {"destroys"}),
        ("q=fetch", {"fetch"}),
        ("q=needle", {"described"}),
    ],
)
def test_tools_are_filtered_and_searched(admin_client: Client, query: str, found: set[str]) -> None:
    add_tool("fetch")
    add_tool("off", enabled=False)
    add_tool("gone", available=False)
    add_tool("new", review=Review.NEW)
    add_tool("described", description="A needle.")
    add_tool("destroys", annotations={"destructiveHint": True})

    rows = admin_client.get(f"{LIST}?{query}").context["cl"].result_list

    assert {tool.name for tool in rows} == found


def test_tools_are_filtered_by_server(admin_client: Client) -> None:
    add_tool("one")
    other = add_server("other")
    other.tools.create(name="two")

    rows = admin_client.get(f"{LIST}?server__id__exact={other.pk}").context["cl"].result_list

    assert [tool.name for tool in rows] == ["two"]


def test_the_list_takes_the_same_queries_for_two_tools_and_for_twenty(
    admin_client: Client,
) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert admin_client.get(LIST).status_code == 200
        return len(queries)

    for number in range(2):
        add_tool(f"tool_{number}")
    few = count()
    for number in range(2, 20):
        add_tool(f"tool_{number}")

    assert count() == few


@pytest.mark.parametrize("action", ["enable", "disable"])
def test_a_bulk_action_takes_the_same_queries_for_two_tools_and_for_twenty(
    admin_client: Client, action: str
) -> None:
    tools = [add_tool(f"tool_{number}", review=Review.NEW) for number in range(20)]

    def count(chosen: list[MCPTool]) -> int:
        keys = [tool.pk for tool in chosen]
        with CaptureQueriesContext(connection) as queries:
            admin_client.post(LIST, {"action": action, "_selected_action": keys})
        return len(queries)

    assert count(tools[:2]) == count(tools)
