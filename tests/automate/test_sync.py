"""Syncs against real servers over HTTP."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from automate.models import MCPServer, MCPTool
from automate.sync import SyncReport, sync_server, sync_servers
from tests.servers.rest import RestServer

from .making import add_server, decide_all, listed

Offering = Callable[..., None]


def quoted(name: str) -> str:
    """A table or column as the database's statements have it."""
    return connection.ops.quote_name(name)


def usable_names() -> list[str]:
    return sorted(MCPTool.objects.usable().values_list("name", flat=True))


@pytest.fixture
def synced(server: MCPServer, offering: Offering) -> MCPServer:
    """A server whose tools `search` and `fetch` are stored."""
    offering("search", "fetch")
    assert not sync_server(server).error
    return server


def test_the_first_sync_makes_every_tool_usable(server: MCPServer, offering: Offering) -> None:
    offering("search", "fetch")

    report = sync_server(server)

    assert (report.slug, report.added, report.error) == ("shop", ["search", "fetch"], "")
    assert usable_names() == ["fetch", "search"]
    assert (server.last_synced, server.settled_protocol) != (None, "")


def test_a_vanished_tool_is_kept_but_no_longer_usable(
    synced: MCPServer, offering: Offering
) -> None:
    offering("search")

    report = sync_server(synced)

    assert report.gone == ["fetch"]
    assert usable_names() == ["search"]
    assert MCPTool.objects.filter(name="fetch", available=False).exists()


def test_a_tool_that_comes_back_is_usable_again(synced: MCPServer, offering: Offering) -> None:
    offering("search")
    sync_server(synced)
    offering("search", "fetch")

    report = sync_server(synced)

    assert (report.returned, report.unchanged) == (["fetch"], 1)
    assert usable_names() == ["fetch", "search"]


def test_a_changed_tool_is_not_usable_until_it_is_approved(
    synced: MCPServer, offering: Offering
) -> None:
    offering("search", listed("fetch", "Now deletes everything."))

    report = sync_server(synced)

    assert report.changed == ["fetch"]
    assert usable_names() == ["search"]
    decide_all()
    assert usable_names() == ["fetch", "search"]


def test_a_later_tool_is_not_usable_until_it_is_approved(
    synced: MCPServer, offering: Offering
) -> None:
    offering("search", "fetch", "delete")

    assert sync_server(synced).added == ["delete"]
    assert usable_names() == ["fetch", "search"]
    decide_all()
    assert usable_names() == ["delete", "fetch", "search"]


@pytest.mark.parametrize("enabled", [True, False])
def test_the_operators_switch_is_never_touched(
    synced: MCPServer, offering: Offering, enabled: bool
) -> None:
    MCPTool.objects.update(enabled=enabled)
    offering("search", listed("fetch", "Changed."))
    sync_server(synced)
    offering(listed("fetch", "Changed again."))
    sync_server(synced)
    offering("search", "fetch")
    sync_server(synced)

    assert set(MCPTool.objects.values_list("enabled", flat=True)) == {enabled}


def test_a_switch_that_is_turned_while_a_sync_stores_stays_as_it_was_turned(
    synced: MCPServer, offering: Offering
) -> None:
    offering(listed("search", "Changed."), listed("fetch", "Changed."))

    def turn_off_after_reading(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if sql.startswith("SELECT") and quoted("input_schema") in sql:
            MCPTool.objects.filter(enabled=True).disable()
        return result

    with connection.execute_wrapper(turn_off_after_reading):
        report = sync_server(synced)

    assert report.changed == ["search", "fetch"]
    assert not MCPTool.objects.filter(enabled=True).exists()


def test_a_tool_with_a_broken_schema_is_shown_and_not_used(
    server: MCPServer, offering: Offering
) -> None:
    offering("search", listed("fetch", schema={"type": "object", "required": "text"}))

    sync_server(server)

    fetch = MCPTool.objects.get(name="fetch")
    assert (fetch.enabled, bool(fetch.schema_error), fetch.usable) == (True, True, False)
    assert usable_names() == ["search"]


def test_one_broken_tool_is_left_out_and_the_good_ones_stay(
    server: MCPServer, offering: Offering
) -> None:
    offering("search", {"name": "broken"}, 7, "fetch")

    report = sync_server(server)

    assert [tool.name for tool in report.skipped] == ["broken", "number 3"]
    assert usable_names() == ["fetch", "search"]
    assert "broken: " in MCPServer.objects.get().last_warning


def test_the_number_of_queries_does_not_grow_with_the_tools(
    server: MCPServer, offering: Offering
) -> None:
    counts = {}
    for tools in (2, 200):
        MCPTool.objects.all().delete()
        MCPServer.objects.update(tools_digest="")
        steps = [
            [listed(f"tool_{number}") for number in range(tools)],
            [listed(f"tool_{number}", "Changed.") for number in range(tools)],
            [],
            [listed(f"tool_{number}", "Changed.") for number in range(tools)],
        ]
        counts[tools] = []
        for step in steps:
            offering(*step)
            with CaptureQueriesContext(
                connection,
            ) as queries:
                report = sync_server(server)
            assert not report.error
            counts[tools].append(len(queries))

    assert counts[2] == counts[200]


def test_an_unchanged_server_costs_one_read_and_one_write(synced: MCPServer) -> None:
    before = synced.last_synced

    with CaptureQueriesContext(connection) as queries:
        report = sync_server(synced)

    verbs = [query["sql"].split()[0] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert verbs == ["SELECT", "UPDATE"]
    assert report.unchanged == 2
    assert MCPServer.objects.get().last_synced > before


def test_a_tool_deleted_while_its_server_was_asked_is_found_by_the_next_sync(
    synced: MCPServer,
) -> None:
    def delete_before_storing(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith(f"UPDATE {quoted('automate_mcpserver')}"):
            MCPTool.objects.filter(name="fetch").delete()
        return execute(sql, *rest)

    with connection.execute_wrapper(delete_before_storing):
        sync_server(synced)

    assert sync_server(synced).added == ["fetch"]


def test_a_list_stored_by_somebody_else_in_the_meantime_is_asked_for_again(
    synced: MCPServer,
) -> None:
    def store_before(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith(f"UPDATE {quoted('automate_mcpserver')}"):
            with connection.cursor() as cursor:
                cursor.cursor.execute("UPDATE automate_mcpserver SET tools_digest = 'other'")
        return execute(sql, *rest)

    with connection.execute_wrapper(store_before):
        report = sync_server(synced)

    assert "sync it again" in report.error


def test_a_tool_that_was_deleted_by_hand_comes_back_for_review(synced: MCPServer) -> None:
    MCPTool.objects.filter(name="fetch").delete()

    report = sync_server(synced)

    assert report.added == ["fetch"]
    assert MCPTool.objects.get(name="fetch").review == MCPTool.Review.NEW


@pytest.mark.parametrize("status", [401, 404])
def test_a_failed_sync_keeps_the_tools_and_says_why(
    synced: MCPServer, peer: RestServer, status: int
) -> None:
    peer.refuse_with = status

    report = sync_server(synced)

    assert f"HTTP {status}" in report.error
    assert MCPServer.objects.get().last_error == report.error
    assert usable_names() == ["fetch", "search"]


def test_a_good_sync_clears_the_error_of_a_bad_one(synced: MCPServer, peer: RestServer) -> None:
    peer.refuse_with = 500
    sync_server(synced)
    peer.refuse_with = 0

    sync_server(synced)

    assert MCPServer.objects.get().last_error == ""


@pytest.mark.django_db
def test_a_server_that_is_not_there_is_a_connection_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    report = sync_server(add_server(url=f"http://127.0.0.1:{port}/api"))

    assert "Connection error" in report.error


def test_a_missing_secret_is_named_and_nothing_is_sent(
    server: MCPServer, peer: RestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_TOKEN", raising=False)
    server.auth_type, server.auth_secret_ref = "bearer", "env:SHOP_TOKEN"

    report = sync_server(server)

    assert "SHOP_TOKEN" in report.error
    assert peer.requests == []


def test_the_secret_stands_in_no_error(server: MCPServer, peer: RestServer) -> None:
    server.auth_type, server.auth_secret_ref = "bearer", "s3cret-of-the-shop"
    peer.refuse_with = 401

    report = sync_server(server)

    assert peer.requests[0].headers["authorization"] == "Bearer s3cret-of-the-shop"
    assert "s3cret" not in report.error


def test_one_bad_server_never_stops_the_others(
    server: MCPServer, offering: Offering, peer: RestServer
) -> None:
    offering("search")
    servers = [
        add_server("nowhere", "http://127.0.0.1:1/api"),
        add_server("secretless", peer.url, auth_type="bearer", auth_secret_ref="env:NOT_SET_HERE"),
        server,
    ]
    seen: list[SyncReport] = []

    reports = sync_servers(servers, seen.append)

    assert [report.slug for report in reports] == ["nowhere", "secretless", "shop"]
    assert [bool(report.error) for report in reports] == [True, True, False]
    assert sorted(seen, key=lambda report: report.slug) == reports


def test_a_failure_of_our_own_is_logged_and_told_in_a_fixed_sentence(
    synced: MCPServer, offering: Offering, caplog: pytest.LogCaptureFixture
) -> None:
    add_server("other").tools.create(name="x", function_name="shop__delete")
    taken = MCPTool.objects.get(name="search").function_name.replace("search", "delete")
    MCPTool.objects.filter(name="x").update(function_name=taken)
    offering("search", "fetch", "delete")

    report = sync_server(synced)

    assert "a reason of our own" in report.error
    assert "Sync of MCP server 'shop' failed" in caplog.text
    assert usable_names() == ["fetch", "search", "x"]
    assert MCPServer.objects.get(slug="shop").last_error == report.error


def test_an_answer_from_an_endpoint_that_was_edited_meanwhile_is_not_stored(
    server: MCPServer, offering: Offering
) -> None:
    offering("search")
    MCPServer.objects.update(endpoint_url="http://127.0.0.1:1/elsewhere")

    report = sync_server(server)

    assert "sync it again" in report.error
    assert not MCPTool.objects.exists()


def test_a_server_that_was_deleted_meanwhile_is_reported(
    server: MCPServer, offering: Offering
) -> None:
    offering("search")
    MCPServer.objects.all().delete()

    assert sync_server(server).error
