"""`manage.py sync_mcp_tools`, as an operator and a cron job use it."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from automate.models import MCPServer, MCPTool
from tests.servers.rest import RestServer

from .making import add_server

pytestmark = pytest.mark.django_db
NOWHERE = "http://127.0.0.1:1/api"


def run(*arguments: str, **options: Any) -> str:
    output = StringIO()
    call_command("sync_mcp_tools", *arguments, stdout=output, no_color=True, **options)
    return output.getvalue()


def test_every_server_that_is_on_is_synced_and_listed_in_a_table(
    peer: RestServer, offering: Callable[..., None]
) -> None:
    offering("search", "fetch", {"name": "broken"})
    add_server("shop", peer.url)
    add_server("branches", peer.url)
    add_server("off", NOWHERE, enabled=False)

    heading, *rows = [line.split() for line in run().splitlines()]

    assert heading[0] == "Server"
    assert rows == [
        ["branches", "2", "0", "0", "0", "1", "0", "ok"],
        ["shop", "2", "0", "0", "0", "1", "0", "ok"],
    ]


def test_one_failure_leaves_the_others_synced_and_ends_with_an_error(
    peer: RestServer, offering: Callable[..., None]
) -> None:
    offering("search")
    add_server("shop", peer.url)
    add_server("nowhere", NOWHERE)
    output = StringIO()

    with pytest.raises(CommandError, match="1 of 2 servers failed: nowhere"):
        call_command("sync_mcp_tools", stdout=output, no_color=True)

    assert "Connection error" in output.getvalue()
    assert MCPTool.objects.get().server.slug == "shop"


def test_one_server_is_chosen_by_its_slug_even_where_it_is_off(
    peer: RestServer, offering: Callable[..., None]
) -> None:
    offering("search")
    add_server("off", peer.url, enabled=False)
    add_server("nowhere", NOWHERE)

    run("--server=off")

    assert MCPServer.objects.get(slug="off").last_synced is not None
    assert MCPServer.objects.get(slug="nowhere").last_error == ""


def test_several_servers_may_be_chosen(peer: RestServer) -> None:
    for slug in ("a", "b", "c"):
        add_server(slug, peer.url)

    run("--server=a", "--server=c", "--server=a")

    synced = MCPServer.objects.exclude(last_synced=None).values_list("slug", flat=True)
    assert sorted(synced) == ["a", "c"]


def test_code_may_pass_one_slug_as_text(peer: RestServer) -> None:
    add_server("shop", peer.url)

    assert "shop" in run(server="shop")


def test_all_means_the_servers_that_are_off_too(peer: RestServer) -> None:
    add_server("off", peer.url, enabled=False)

    run("--all")

    assert MCPServer.objects.get().last_synced is not None


def test_an_unknown_slug_is_an_error_that_lists_the_known(peer: RestServer) -> None:
    add_server("shop", peer.url)

    with pytest.raises(CommandError, match="'shopp'. Known are: shop"):
        run("--server=shopp")


def test_without_servers_it_says_where_to_add_one() -> None:
    assert "Add one in the admin" in run()


def test_with_all_servers_off_it_says_so() -> None:
    add_server("off", NOWHERE, enabled=False)

    assert "--all" in run()


def test_it_is_quiet_at_verbosity_0_and_still_fails(peer: RestServer) -> None:
    assert run(verbosity=0) == ""
    add_server("shop", peer.url)
    assert run(verbosity=0) == ""
    add_server("nowhere", NOWHERE)

    with pytest.raises(CommandError):
        run(verbosity=0)


def test_it_names_tools_at_verbosity_2(peer: RestServer, offering: Callable[..., None]) -> None:
    offering("search", {"name": "broken"})
    add_server("shop", peer.url)

    output = run(verbosity=2)

    assert "shop: 1 added, 1 left out" in output
    assert "added: search" in output
    assert "left out: broken, since its inputSchema is missing" in output


def test_what_awaits_approval_is_said(peer: RestServer, offering: Callable[..., None]) -> None:
    add_server("shop", peer.url)
    run()
    offering("search")

    assert run().rstrip().endswith("ok, 1 awaiting approval")
