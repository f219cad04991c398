"""Servers whose lists are due, by their own word."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.utils import timezone

from automate.freshness import LEAST, RETRY_AFTER, due_at
from automate.models import MCPServer
from automate.sync import sync_server
from automate_llm.mcp_client import MCPClient
from tests.servers.mcp_sdk import Offer

from .making import add_server


def stored(server: MCPServer) -> MCPServer:
    return MCPServer.objects.get(pk=server.pk)


def make_due(server: MCPServer) -> None:
    MCPServer.objects.filter(pk=server.pk).update(due_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("ttl", "least"), [(0.0, LEAST), (1.0, LEAST), (3600.0, timedelta(hours=1))]
)
def test_a_list_is_due_when_it_is_not_fresh_any_more(ttl, least):
    before = timezone.now()
    due = due_at(ttl)

    assert due is not None
    assert before + least <= due <= timezone.now() + least * 1.1


def test_without_a_word_a_list_is_never_due():
    assert due_at(None) is None


@pytest.mark.django_db
def test_a_sync_notes_what_the_server_says(sdk_server):
    peer = sdk_server(Offer("one"), ttl_ms=3_600_000)
    server = add_server(url=peer.url)
    sync_server(server)

    row = stored(server)
    assert row.list_changed
    assert row.due_at is not None
    assert row.due_at - timezone.now() > timedelta(minutes=59)
    assert row.due_at == server.due_at


def test_a_server_that_says_nothing_is_not_due(server, offering):
    offering("search")
    sync_server(server)

    assert stored(server).due_at is None
    assert not stored(server).list_changed
    assert not MCPServer.objects.due().exists()


def test_only_enabled_servers_are_due(server):
    make_due(server)
    off = add_server("off", enabled=False)
    make_due(off)
    later = add_server("later", due_at=timezone.now() + timedelta(minutes=1))

    assert later.due_at is not None
    assert list(MCPServer.objects.due()) == [server]


def test_a_due_server_that_fails_rests(server, peer):
    make_due(server)
    peer.stop()
    report = sync_server(server)

    due = stored(server).due_at
    assert report.error
    assert due is not None
    assert due - timezone.now() > RETRY_AFTER - timedelta(minutes=1)


def test_a_server_without_a_word_has_none_after_a_failure(server, peer):
    peer.stop()
    sync_server(server)

    assert stored(server).due_at is None


def test_the_command_asks_the_due_ones_only(server, peer, offering):
    offering("search")
    other = add_server("other", url=peer.url)
    make_due(server)
    output = StringIO()
    call_command("sync_mcp_tools", "--due", stdout=output)

    assert stored(server).last_synced is not None
    assert stored(other).last_synced is None
    assert "other" not in output.getvalue()


def test_the_command_says_that_nothing_is_due(server, peer):
    output = StringIO()
    call_command("sync_mcp_tools", "--due", stdout=output)

    assert "No MCP server is due." in output.getvalue()
    assert not peer.requests


@pytest.mark.django_db(transaction=True)
def test_a_call_that_finds_another_version_makes_its_server_due(sdk_server):
    peer = sdk_server(Offer("one"), legacy_only=True)
    server = add_server(url=peer.url)
    sync_server(server)
    before = stored(server)
    MCPClient(before).execute_tool("one", {})
    unchanged = before.protocol_version, stored(server).due_at
    peer.legacy_only, peer.modern_only = False, True
    MCPClient(before).execute_tool("one", {})
    due = list(MCPServer.objects.due())
    sync_server(before)

    assert unchanged == ("2025-11-25", None)
    assert due == [server]
    assert stored(server).protocol_version == "2026-07-28"


@pytest.mark.django_db(transaction=True)
def test_a_call_succeeds_though_the_database_cannot_note_the_change(
    sdk_server, monkeypatch, caplog
):
    peer = sdk_server(Offer("one"), legacy_only=True)
    server = add_server(url=peer.url)
    sync_server(server)
    before = stored(server)
    peer.legacy_only, peer.modern_only = False, True

    def locked(*args, **values):
        raise OperationalError("database is locked")

    monkeypatch.setattr(type(MCPServer.objects.all()), "update", locked)
    MCPClient(before).execute_tool("one", {})

    assert "could not be noted" in caplog.text
