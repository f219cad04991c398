"""The rules of a sync, without a database or a network."""

import pytest

from automate.models import MCPServer, MCPTool, MCPToolVersion
from automate.sync_plan import SyncPlan, plan_sync
from automate_llm.values import ToolSpec

from .making import discovery, spec

Review = MCPTool.Review


def a_server(*, synced: bool = True, **fields: bool) -> MCPServer:
    digest = "digest of an earlier sync" if synced else ""
    return MCPServer(pk=1, name="Shop", slug="shop", tools_digest=digest, **fields)


def plan(existing: list[MCPTool], *tools: ToolSpec, **fields: bool) -> SyncPlan:
    return plan_sync(existing, discovery(*tools), a_server(**fields))


def stored(*tools: ToolSpec, **changes: object) -> list[MCPTool]:
    rows = plan([], *tools, synced=False).new
    for key, row in enumerate(rows, start=1):
        row.pk = key
        for name, value in changes.items():
            setattr(row, name, value)
    return rows


def test_the_first_sync_is_trusted() -> None:
    [tool] = plan([], spec("search"), synced=False).new

    assert (tool.enabled, tool.review, tool.version) == (True, Review.APPROVED, 1)
    assert tool.approved_hash == tool.definition_hash


def test_a_tool_that_arrives_later_is_disabled_and_awaits_review() -> None:
    [tool] = plan(stored(spec("search")), spec("search"), spec("fetch")).new

    assert (tool.name, tool.enabled, tool.review) == ("fetch", False, Review.NEW)
    assert tool.approved_hash == ""


def test_a_server_that_accepts_changes_gets_new_tools_at_once() -> None:
    [tool] = plan([], spec("fetch"), accept_changes=True).new

    assert (tool.enabled, tool.review) == (True, Review.APPROVED)


def test_a_changed_tool_stops_and_keeps_what_was_approved() -> None:
    [before] = stored(spec("search", "Finds."))

    [after] = plan([before], spec("search", "Finds and deletes.")).updated

    assert (after.review, after.version, after.description) == (
        Review.CHANGED,
        2,
        "Finds and deletes.",
    )
    assert (after.approved_version, after.approved_hash) == (1, before.definition_hash)


def test_a_change_of_any_approved_part_counts() -> None:
    base = spec("search", title="Search")
    changes = [
        spec("search", "Other.", title="Search"),
        spec("search", title="Find"),
        spec("search", title="Search", input_schema={"type": "object"}),
        spec("search", title="Search", output_schema={"type": "object"}),
        spec("search", title="Search", annotations={"readOnlyHint": True}),
    ]

    assert [plan(stored(base), change).report.changed for change in changes] == [["search"]] * 5


def test_the_order_of_keys_is_no_change() -> None:
    one = {"type": "object", "properties": {"a": {}, "b": {}}}
    other = {"properties": {"b": {}, "a": {}}, "type": "object"}

    result = plan(stored(spec("search", input_schema=one)), spec("search", input_schema=other))

    assert (result.updated, result.report.unchanged) == ([], 1)


def test_a_tool_that_changes_back_is_approved_again() -> None:
    [before] = stored(spec("search", "Finds."))
    [changed] = plan([before], spec("search", "Deletes.")).updated

    [back] = plan([changed], spec("search", "Finds.")).updated

    assert (back.review, back.version, back.approved_version) == (Review.APPROVED, 3, 3)


def test_a_second_change_is_compared_with_what_was_approved_not_with_the_first() -> None:
    [before] = stored(spec("search", "Finds."))
    [once] = plan([before], spec("search", "Deletes.")).updated

    [twice] = plan([once], spec("search", "Deletes all.")).updated

    assert (twice.review, twice.version, twice.approved_version) == (Review.CHANGED, 3, 1)


def test_a_change_on_a_trusting_server_is_a_new_approved_version() -> None:
    [after] = plan(stored(spec("search")), spec("search", "Other."), accept_changes=True).updated

    assert (after.review, after.version, after.approved_version) == (Review.APPROVED, 2, 2)
    assert after.approved_hash == after.definition_hash


def test_a_new_tool_that_changes_before_anybody_saw_it_is_still_new() -> None:
    [new] = plan([], spec("search")).new

    [after] = plan([new], spec("search", "Other."), accept_changes=True).updated

    assert (after.review, after.enabled, after.approved_version) == (Review.NEW, False, None)


@pytest.mark.parametrize(("approved", "becomes"), [(1, Review.CHANGED), (None, Review.NEW)])
def test_a_rejected_tool_waits_again_when_it_changes_whatever_its_server_may(
    approved: int | None, becomes: Review
) -> None:
    rejected = stored(spec("search"), review=Review.REJECTED, approved_version=approved)

    [after] = plan(rejected, spec("search", "Other."), accept_changes=True).updated

    assert (after.review, after.approved_version) == (becomes, approved)


def test_every_definition_that_is_seen_is_a_version() -> None:
    [before] = stored(spec("search", "Finds."))

    result = plan([before], spec("search", "Deletes."), spec("fetch"))

    versions = [MCPToolVersion.of(tool, current) for tool, current in result.defined]
    assert [(version.number, version.trusted) for version in versions] == [(2, False), (1, False)]
    assert [version.definition["description"] for version in versions] == ["Deletes.", "Does it."]
    assert versions[0].definition_hash == result.updated[0].definition_hash


def test_a_vanished_tool_is_gone_once() -> None:
    present, absent = stored(spec("search"), spec("fetch"))
    absent.available = False

    result = plan([present, absent])

    assert (result.gone, result.report.gone) == ([present.pk], ["search"])


def test_a_tool_that_returns_unchanged_keeps_its_review() -> None:
    rows = stored(spec("search"), available=False, review=Review.CHANGED)

    result = plan(rows, spec("search"))

    assert (result.returned, result.updated) == ([rows[0].pk], [])
    assert result.report.returned == ["search"]


def test_a_tool_that_returns_changed_awaits_review() -> None:
    result = plan(stored(spec("search"), available=False), spec("search", "Other."))

    assert (result.updated[0].review, result.updated[0].available) == (Review.CHANGED, True)
    assert (result.report.returned, result.report.changed) == (["search"], ["search"])


def test_a_broken_schema_is_stored_with_the_reason_and_leaves_the_switch_alone() -> None:
    broken = {"type": "object", "properties": {"a": {"type": "nonsense"}}}

    [tool] = plan([], spec("search", input_schema=broken), synced=False).new

    assert (tool.enabled, tool.input_schema) == (True, broken)
    assert tool.schema_error


def test_a_schema_that_is_found_fit_loses_its_old_reason() -> None:
    rows = stored(spec("search"), schema_error="An earlier release could not read it.")

    [tool] = plan(rows, spec("search")).updated

    assert (tool.schema_error, tool.version, tool.review) == ("", 1, Review.APPROVED)


def test_planning_changes_no_stored_row() -> None:
    [row] = stored(spec("search"))
    before = {name: value for name, value in vars(row).items() if name != "_state"}

    plan([row], spec("search", "Other."))

    assert {name: value for name, value in vars(row).items() if name != "_state"} == before
