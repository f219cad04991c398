"""The admin of servers, as an operator's browser uses it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from automate.models import MCPServer, MCPTool
from automate.sync import sync_server
from tests.servers.rest import RestServer

from .making import add_server, decide_all

LIST = "/admin/automate/mcpserver/"
ADD = f"{LIST}add/"
NOWHERE = "http://127.0.0.1:1/api"
SECRET = "s3cret-of-the-shop"


def page_of(server: MCPServer) -> str:
    return page("change", server)


def page(kind: str, server: MCPServer) -> str:
    return reverse(f"admin:automate_mcpserver_{kind}", args=[server.pk])


def form(**fields: Any) -> dict[str, Any]:
    return {
        "name": "Shop",
        "slug": "shop",
        "endpoint_url": NOWHERE,
        "enabled": "on",
        "auth_type": "none",
        "auth_header": "X-API-Key",
        "auth_secret_ref": "",
        "protocol": "auto",
        "oauth-TOTAL_FORMS": "0",
        "oauth-INITIAL_FORMS": "0",
        "rules-TOTAL_FORMS": "0",
        "rules-INITIAL_FORMS": "0",
        **fields,
    }


def act(client: Client, action: str, *servers: MCPServer) -> list[str]:
    chosen = [server.pk for server in servers]
    answer = client.post(LIST, {"action": action, "_selected_action": chosen}, follow=True)
    return messages_of(answer)


def messages_of(answer: Any) -> list[str]:
    return [f"{each.level_tag}: {each.message}" for each in answer.context["messages"]]


def test_a_server_is_added_and_the_next_step_is_named(admin_client: Client) -> None:
    answer = admin_client.post(ADD, form(), follow=True)

    assert MCPServer.objects.get().slug == "shop"
    assert any("Save and sync tools" in message for message in messages_of(answer))


def test_save_and_sync_fetches_the_tools_in_the_background(
    admin_client: Client, peer: RestServer, offering: Callable[..., None], at_once: Any
) -> None:
    offering("search")
    assert b"Save and sync tools" in admin_client.get(ADD).content

    data = form(endpoint_url=peer.url, _sync="1")
    answer = at_once(admin_client.post, ADD, data, follow=True)

    assert "success: 1 sync has begun; its state is shown below." in messages_of(answer)
    assert answer.redirect_chain[-1][0] == page_of(MCPServer.objects.get())
    assert MCPTool.objects.usable().count() == 1


def test_a_secret_that_cannot_be_read_is_said_after_saving(admin_client: Client) -> None:
    secret = "env:NOT_SET_HERE"

    answer = admin_client.post(ADD, form(auth_type="bearer", auth_secret_ref=secret), follow=True)

    assert any("NOT_SET_HERE" in m and m.startswith("warning") for m in messages_of(answer))


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint_url": "ftp://shop.example"},
        {"auth_header": "Host", "auth_type": "api_key", "auth_secret_ref": "env:KEY"},
        {"auth_type": "bearer"},
        {"slug": "no spaces"},
        {"timeout": "0"},
        {"auth_secret_ref": "Bearer abc", "auth_type": "bearer"},
    ],
)
def test_what_could_not_work_is_not_saved(admin_client: Client, wrong: dict[str, str]) -> None:
    answer = admin_client.post(ADD, form(**wrong))

    assert answer.status_code == 200
    assert answer.context["errors"]
    assert not MCPServer.objects.exists()


def test_a_raw_secret_is_never_rendered_back(admin_client: Client) -> None:
    server = add_server(auth_type="bearer", auth_secret_ref=SECRET)

    pages = [
        admin_client.get(page_of(server)),
        admin_client.get(LIST),
        admin_client.get(page("delete", server)),
        admin_client.post(page_of(server), form(auth_type="bearer", name="")),
        admin_client.post(ADD, form(auth_secret_ref=SECRET, name="")),
        admin_client.post(page_of(server), form(auth_type="bearer", auth_secret_ref=f"{SECRET}2")),
        admin_client.get(page("history", server)),
    ]

    assert [each.status_code for each in pages] == [200, 200, 200, 200, 200, 302, 200]
    assert not any(SECRET in each.content.decode() for each in pages)
    assert "••••" in pages[0].content.decode()


def test_a_reference_to_a_secret_is_shown(admin_client: Client) -> None:
    server = add_server(auth_type="bearer", auth_secret_ref="env:SHOP_TOKEN")

    shown = admin_client.get(page_of(server)).content.decode()

    assert "<strong>env:SHOP_TOKEN</strong>" in shown
    assert re.search(r'<input[^>]*name="auth_secret_ref"[^>]*value=', shown) is None


@pytest.mark.parametrize(
    ("typed", "cleared", "kept"),
    [("", "", SECRET), ("env:NEW", "", "env:NEW"), ("", "on", ""), ("env:NEW", "on", "env:NEW")],
)
def test_an_empty_secret_field_keeps_the_secret_unless_it_is_to_be_removed(
    admin_client: Client, typed: str, cleared: str, kept: str
) -> None:
    server = add_server(auth_secret_ref=SECRET)
    data = form(auth_secret_ref=typed, name="Renamed", auth_type="bearer" if typed else "none")
    data |= {"clear_secret": "on"} if cleared else {}

    admin_client.post(page_of(server), data)

    server.refresh_from_db()
    assert (server.name, server.auth_secret_ref) == ("Renamed", kept)


def test_what_the_chosen_login_does_not_use_is_left_as_it_is(admin_client: Client) -> None:
    server = add_server(auth_secret_ref=SECRET)

    hidden = {"auth_header": "not a header", "auth_secret_ref": "Bearer with\ttab"}
    admin_client.post(page_of(server), form(name="Renamed", **hidden))

    server.refresh_from_db()
    assert (server.name, server.auth_secret_ref) == ("Renamed", SECRET)
    assert server.auth_header == "X-API-Key"


def test_a_secret_that_is_needed_cannot_be_removed(admin_client: Client) -> None:
    server = add_server(auth_type="bearer", auth_secret_ref=SECRET)

    admin_client.post(page_of(server), form(auth_type="bearer", clear_secret="on"))

    server.refresh_from_db()
    assert server.auth_secret_ref == SECRET


@pytest.mark.parametrize(
    "elsewhere", ["http://127.0.0.1:2/api", "https://127.0.0.1:1/api", "http://evil.example:1/api"]
)
def test_a_secret_is_typed_again_where_the_address_leads_to_another_host(
    admin_client: Client, elsewhere: str
) -> None:
    server = add_server(auth_type="bearer", auth_secret_ref=SECRET)
    data = form(auth_type="bearer", endpoint_url=elsewhere)

    refused = admin_client.post(page_of(server), data)
    server.refresh_from_db()
    kept = server.endpoint_url, server.auth_secret_ref
    admin_client.post(page_of(server), data | {"auth_secret_ref": f"{SECRET}2"})
    server.refresh_from_db()

    assert "Type the secret again" in refused.content.decode()
    assert kept == (NOWHERE, SECRET)
    assert (server.endpoint_url, server.auth_secret_ref) == (elsewhere, f"{SECRET}2")


def test_a_secret_stays_where_only_the_path_changes_or_it_is_removed(admin_client: Client) -> None:
    server = add_server(auth_secret_ref=SECRET)

    admin_client.post(page_of(server), form(endpoint_url="HTTP://127.0.0.1:1/other"))
    server.refresh_from_db()
    kept = server.auth_secret_ref
    elsewhere = form(endpoint_url="https://shop.example", clear_secret="on")
    admin_client.post(page_of(server), elsewhere)
    server.refresh_from_db()

    assert kept == SECRET
    assert (server.endpoint_url, server.auth_secret_ref) == ("https://shop.example", "")


def test_an_edit_writes_only_what_was_edited(admin_client: Client) -> None:
    server = add_server()

    with CaptureQueriesContext(connection) as queries:
        admin_client.post(page_of(server), form(name="Renamed"))

    start = f"UPDATE {connection.ops.quote_name('automate_mcpserver')}"
    [update] = [q["sql"] for q in queries if q["sql"].startswith(start)]
    assert update.partition("WHERE")[0].count("=") == 1


def test_a_new_address_is_asked_again_which_protocol_it_speaks(admin_client: Client) -> None:
    server = add_server(settled_protocol="rest", protocol_version="1")

    answer = admin_client.post(page_of(server), form(endpoint_url=f"{NOWHERE}/v2"), follow=True)

    server.refresh_from_db()
    assert (server.settled_protocol, server.protocol_version) == ("", "")
    assert any("Save and sync tools" in message for message in messages_of(answer))


def test_the_slug_is_fixed_once_there_are_tools(admin_client: Client) -> None:
    server = add_server()
    assert 'name="slug"' in admin_client.get(page_of(server)).content.decode()
    server.tools.create(name="search")

    admin_client.post(page_of(server), form(slug="other"))

    server.refresh_from_db()
    assert server.slug == "shop"
    assert 'name="slug"' not in admin_client.get(page_of(server)).content.decode()


def test_servers_are_switched_in_bulk(admin_client: Client) -> None:
    servers = [add_server("a"), add_server("b")]

    assert act(admin_client, "disable", *servers) == ["success: 2 servers are off."]
    assert not MCPServer.objects.enabled().exists()
    assert act(admin_client, "enable", servers[0]) == ["success: 1 server is on."]
    assert MCPServer.objects.enabled().get().slug == "a"


def status_of(client: Client) -> str:
    found = re.search(
        r'class="field-status">(.*?)</td>', client.get(LIST).content.decode(), re.DOTALL
    )
    assert found is not None
    return found[1]


def test_the_list_says_in_words_what_is_wrong(
    admin_client: Client, server: MCPServer, peer: RestServer, offering: Callable[..., None]
) -> None:
    assert status_of(admin_client).startswith("Never synced")
    peer.refuse_with = 404
    sync_server(server)
    assert status_of(admin_client).startswith("Not reached yet")
    assert "HTTP 404" in status_of(admin_client)
    peer.refuse_with = 0
    sync_server(server)
    assert status_of(admin_client).startswith("It lists no tools")
    offering("search", {"name": "broken"})
    sync_server(server)
    assert status_of(admin_client) == "1 tool waits for approval."
    decide_all()
    assert status_of(admin_client).startswith("Some of its tools were left out")
    offering("search")
    sync_server(server)
    assert status_of(admin_client) == "Ready."
    MCPTool.objects.disable()
    assert status_of(admin_client).startswith("None of its tools can be used")
    peer.refuse_with = 500
    sync_server(server)
    assert status_of(admin_client).startswith("The last sync failed")
    MCPServer.objects.update(enabled=False)
    assert status_of(admin_client).startswith("Off")


def test_the_list_counts_the_tools(admin_client: Client) -> None:
    server = add_server()
    server.tools.create(name="search")
    server.tools.create(name="fetch", enabled=False)

    shown = admin_client.get(LIST).content.decode()

    assert f'/admin/automate/mcptool/?server__id__exact={server.pk}">1 of 2</a>' in shown


def test_hostile_text_is_shown_as_text(admin_client: Client) -> None:
    server = add_server()
    MCPServer.objects.update(name="<script>1</script>", last_error="<b>x</b>", instructions="<i>")

    pages = admin_client.get(LIST).content.decode(), admin_client.get(page_of(server)).content

    assert "<script>1" not in pages[0]
    assert "<b>x" not in pages[0]
    assert b"<i>" not in pages[1]


def test_the_list_takes_the_same_queries_for_two_servers_and_for_twenty(
    admin_client: Client,
) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert admin_client.get(LIST).status_code == 200
        return len(queries)

    for number in range(2):
        add_server(f"s{number}").tools.create(name="search")
    few = count()
    for number in range(2, 20):
        add_server(f"s{number}").tools.create(name="search")

    assert count() == few


@pytest.mark.django_db
def test_somebody_who_may_only_look_gets_no_action_and_no_secret_field(client: Client) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_mcpserver"))
    client.force_login(viewer)
    server = add_server(auth_secret_ref=SECRET, last_error="before")

    act_page = client.post(LIST, {"action": "sync_tools", "_selected_action": [server.pk]})
    shown = client.get(page_of(server)).content.decode()

    assert act_page.status_code in (200, 302)
    assert MCPServer.objects.get().last_error == "before"
    assert SECRET not in shown
    assert "••••" in shown
    assert "Save and sync" not in shown
