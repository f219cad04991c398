"""Rows of tools: when one is usable, and what changes that."""

from itertools import product

import pytest
from django.contrib.auth.models import AnonymousUser, User

from automate.models import MCPServer, MCPTool

from .making import TEXT_SCHEMA, add_server

Review = MCPTool.Review
pytestmark = pytest.mark.django_db


def add_tool(name: str = "search", *, server: MCPServer | None = None, **fields: object) -> MCPTool:
    owner = server or MCPServer.objects.first() or add_server()
    return MCPTool.objects.create(server=owner, name=name, input_schema=TEXT_SCHEMA, **fields)


def test_the_query_and_the_row_agree_on_what_is_usable() -> None:
    on, off = add_server("on"), add_server("off", enabled=False)
    states = product([True, False], [True, False], Review.values, ["", "Broken."], [on, off])
    for number, (enabled, available, review, error, server) in enumerate(states):
        tool = add_tool(f"tool_{number}", server=server)
        MCPTool.objects.filter(pk=tool.pk).update(
            enabled=enabled, available=available, review=review, schema_error=error
        )

    by_query = set(MCPTool.objects.usable().values_list("pk", flat=True))
    by_row = {tool.pk for tool in MCPTool.objects.all() if tool.usable}

    assert by_query == by_row
    assert len(by_query) == 1


def test_nobody_without_an_active_account_may_use_a_tool() -> None:
    add_tool()
    people = [AnonymousUser(), User(is_active=False), User(is_active=True)]

    assert [MCPTool.objects.usable_by(person).count() for person in people] == [0, 0, 1]


def test_a_tool_made_by_code_is_complete_and_usable() -> None:
    tool = add_tool(description="Finds.")

    assert (tool.function_name, tool.version, tool.schema_error) == ("shop__search", 1, "")
    assert tool.definition_hash == tool.approved_hash != ""
    assert tool.usable


def test_a_definition_that_code_changes_is_a_new_version() -> None:
    tool = add_tool(description="Finds.")
    before = tool.definition_hash

    tool.description = "Finds more."
    tool.save(update_fields=["description"])

    row = MCPTool.objects.get()
    assert (row.version, row.review) == (2, Review.APPROVED)
    assert row.definition_hash == row.approved_hash != before


def test_saving_the_switch_is_no_new_version() -> None:
    tool = add_tool()
    tool.enabled = False

    tool.save()

    assert MCPTool.objects.get().version == 1


def test_a_schema_that_code_breaks_stops_the_tool() -> None:
    tool = add_tool()
    tool.input_schema = {"type": "array"}

    tool.save()

    assert not MCPTool.objects.get().usable


@pytest.mark.parametrize("review", [Review.NEW, Review.CHANGED, Review.REJECTED])
def test_switching_a_tool_on_approves_nothing(review: Review) -> None:
    add_tool(review=review, enabled=False)

    MCPTool.objects.enable()

    assert (MCPTool.objects.get().enabled, MCPTool.objects.get().usable) == (True, False)


def test_only_a_tool_that_awaits_review_waits_since_some_time() -> None:
    approved, new = add_tool("approved"), add_tool("new", review=Review.NEW)
    rejected = add_tool("rejected", review=Review.REJECTED)

    assert approved.waiting_since is rejected.waiting_since is None
    assert new.waiting_since == new.changed_at


def test_the_query_and_the_row_agree_on_what_a_tool_does_at_worst() -> None:
    hints = ({}, {"readOnlyHint": True}, {"readOnlyHint": False}, {"destructiveHint": True})
    both = {"readOnlyHint": True, "destructiveHint": True}
    for number, (effect, annotations) in enumerate(product(MCPTool.Effect.values, (*hints, both))):
        add_tool(f"tool_{number}", effect=effect, annotations=annotations)

    for risk in MCPTool.Risk:
        found = set(MCPTool.objects.of_risk(risk))
        assert found == {tool for tool in MCPTool.objects.all() if tool.risk == risk} != set()
