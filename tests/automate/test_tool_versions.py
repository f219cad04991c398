"""Pinned definitions: every one that was seen stays, with what people said of it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from automate.models import MCPServer, MCPTool, MCPToolVersion, ToolReview
from automate.models.frozen import FrozenError
from automate.reviewing import Decision, decide
from automate.sync import sync_server

from .making import TEXT_SCHEMA, add_server, decide_all, listed

Review = MCPTool.Review
pytestmark = pytest.mark.django_db


def add_tool(name: str = "search", **fields: Any) -> MCPTool:
    server = MCPServer.objects.first() or add_server()
    fields.setdefault("input_schema", TEXT_SCHEMA)
    return MCPTool.objects.create(server=server, name=name, **fields)


def redefined(tool: MCPTool, description: str, review: Review = Review.CHANGED) -> MCPTool:
    """The tool with a description of its server's, which nobody has looked at."""
    tool.description, tool.review = description, review
    tool.save()
    return tool


def state(tool: MCPTool) -> tuple[str, int | None, bool]:
    tool.refresh_from_db()
    return tool.review, tool.approved_version, tool.usable


@pytest.fixture
def anna(db: None) -> User:
    return User.objects.create_user("anna")


def test_each_definition_that_a_sync_sees_is_kept_whole(
    server: MCPServer, offering: Callable[..., None]
) -> None:
    offering(listed("search", "Finds."))
    sync_server(server)
    offering(listed("search", "Deletes."), "fetch")
    sync_server(server)

    rows = MCPToolVersion.objects.order_by("tool__name", "number")

    assert [(row.tool.name, row.number, row.trusted, row.is_intact) for row in rows] == [
        ("fetch", 1, False, True),
        ("search", 1, True, True),
        ("search", 2, False, True),
    ]
    assert rows[1].definition["description"] == "Finds."
    assert rows[2].definition == MCPTool.objects.get(name="search").definition()


def test_a_definition_with_half_a_character_is_kept_in_characters_of_every_database() -> None:
    tool = MCPTool(server=add_server(), name="search", input_schema={"title": "\ud800"})

    version = MCPToolVersion.of(tool)

    assert version.definition_text.isascii()
    assert version.is_intact


@pytest.mark.parametrize(
    "harm",
    [
        lambda row: row.save(),
        lambda row: row.save(update_fields=["seen_at"]),
        lambda row: row.delete(),
        lambda row: type(row).objects.update(pk=9),
        lambda row: type(row).objects.filter(pk=row.pk).delete(),
        lambda row: type(row).objects.bulk_update([row], ["pk"]),
    ],
)
def test_a_version_and_a_review_can_be_neither_changed_nor_deleted(harm: Any) -> None:
    version = add_tool().versions.get()
    review = version.reviews.create(decision=Decision.APPROVED)

    for row in (version, review):
        with pytest.raises(FrozenError):
            harm(row)


def test_they_go_with_their_tool_and_outlast_who_decided(anna: User) -> None:
    tool = add_tool()
    decide_all(by=anna)
    anna.delete()
    assert ToolReview.objects.get().by is None

    tool.server.delete()

    assert not MCPToolVersion.objects.exists()
    assert not ToolReview.objects.exists()


def test_an_approval_is_recorded_with_who_and_makes_the_tool_usable(anna: User) -> None:
    tool = redefined(add_tool(), "Deletes.")

    assert decide({tool.pk: 2}, Decision.APPROVED, anna).passed_over == 0

    assert state(tool) == (Review.APPROVED, 2, True)
    assert tool.approved_hash == tool.definition_hash
    review = ToolReview.objects.get()
    assert (review.version.number, review.decision, review.by) == (2, "approved", anna)


@pytest.mark.parametrize("decision", Decision)
def test_a_decision_is_for_the_version_that_was_shown_and_for_no_later_one(
    decision: Decision,
) -> None:
    tool, gone = redefined(add_tool(), "Deletes."), add_tool("gone", available=False)

    decided = decide({tool.pk: 1, gone.pk: 1, 999_999: 1}, decision)

    assert (decided.tools, decided.passed_over) == ([], 3)
    assert state(tool) == (Review.CHANGED, 1, False)
    assert not ToolReview.objects.exists()


def test_approval_switches_on_what_was_never_approved_and_leaves_other_switches_alone() -> None:
    add_tool("new", review=Review.NEW, enabled=False)
    redefined(add_tool("changed", enabled=False), "Deletes.")

    assert decide_all() == 2

    assert dict(MCPTool.objects.values_list("name", "enabled")) == {"new": True, "changed": False}


def test_a_mistaken_approval_is_undone_by_a_rejection(anna: User) -> None:
    tool = redefined(add_tool(description="Finds."), "Deletes.")
    first = tool.versions.get(number=1).definition_hash
    decide_all()

    decide_all(Decision.REJECTED, anna)

    assert state(tool) == (Review.REJECTED, 1, False)
    assert tool.approved_hash == first
    assert [review.decision for review in ToolReview.objects.all()] == ["approved", "rejected"]


def test_a_mistaken_rejection_is_undone_by_an_approval() -> None:
    tool = add_tool(review=Review.NEW, enabled=False)
    decide_all(Decision.REJECTED)
    assert state(tool) == (Review.REJECTED, None, False)

    decide_all()

    assert state(tool) == (Review.APPROVED, 1, True)
    version = MCPToolVersion.objects.with_decision().get()
    assert (version.decision, version.decided_by_id) == ("approved", None)


def test_what_was_rejected_is_not_taken_for_approved_when_it_comes_back(
    server: MCPServer, offering: Callable[..., None]
) -> None:
    offering(listed("search", "Finds."))
    sync_server(server)
    decide_all(Decision.REJECTED)
    offering(listed("search", "Finds more."))
    sync_server(server)
    offering(listed("search", "Finds."))
    sync_server(server)

    assert MCPTool.objects.get().review == Review.NEW


def test_a_rename_is_a_new_tool(server: MCPServer, offering: Callable[..., None]) -> None:
    offering(listed("search", "Finds."))
    sync_server(server)
    offering(listed("find", "Finds."))

    report = sync_server(server)

    assert (report.added, report.gone, report.waiting) == (["find"], ["search"], 1)
    assert MCPTool.objects.get(name="find").review == Review.NEW


@pytest.mark.parametrize("decision", Decision)
def test_a_decision_takes_the_same_queries_for_two_tools_and_for_twenty(
    decision: Decision,
) -> None:
    counts = []
    for many in (2, 20):
        tools = [redefined(add_tool(f"tool_{many}_{n}"), "Deletes.") for n in range(many)]
        decide({tool.pk: 2 for tool in tools}, Decision.APPROVED)
        with CaptureQueriesContext(connection) as queries:
            assert len(decide({tool.pk: 2 for tool in tools}, decision).tools) == many
        counts.append(len(queries))

    assert counts[0] == counts[1]
