"""An operator adds, tests, syncs and imports servers in a real browser."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from automate.models import MCPServer, MCPTool
from automate_llm.http import close_pools
from tests.automate.making import add_server, listed
from tests.automate.test_import_admin import SECRET
from tests.servers.registry import Registry
from tests.servers.rest import RestServer

from .test_accessible import RULES, axe  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/automate/mcpserver/"
DESKTOP = {"viewport": {"width": 1440, "height": 900}}
PHONE = {"viewport": {"width": 375, "height": 750}, "has_touch": True}
PICTURES = os.environ.get("AUTOMATE_PICTURES", "")


@pytest.fixture
def admin(tabs: Any, user: Any, settings: Any) -> Callable[..., Any]:
    """Open a page of the admin as a superuser."""
    settings.AUTOMATE = {"MCP_PRIVATE_HOSTS": ("127.0.0.1",)}
    user.is_staff = user.is_superuser = True
    user.save()

    def opened(path: str = LIST, **options: Any) -> Any:
        return tabs.open(path, ready="#content", **(options or DESKTOP))

    return opened


@pytest.fixture
def peer() -> Iterator[RestServer]:
    with RestServer([listed("search"), listed("fetch")], token=SECRET) as server:
        yield server
        close_pools()


def picture(page: Any, name: str) -> None:
    """Keep what the page looks like, for somebody who asks for it by `AUTOMATE_PICTURES`."""
    if not PICTURES:
        return
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        width = page.viewport_size["width"]
        page.screenshot(path=str(Path(PICTURES) / f"{name}-{width}-{theme}.png"), full_page=True)
    page.emulate_media(color_scheme="light")
    page.wait_for_timeout(500)


def serious(axe: Any, page: Any) -> list[str]:  # noqa: F811
    """What axe finds in our part of a page that is a barrier to somebody."""
    options = {"resultTypes": ["violations"], "runOnly": {"type": "tag", "values": RULES}}
    found = axe.run(page, context="#content", options=options).response["violations"]
    return [
        f"{each['id']}: {node['html'][:160]} {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
        if each["impact"] in ("serious", "critical")
    ]


def fits(page: Any) -> bool:
    """Whether nothing makes the page itself scroll sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_a_server_is_added_tried_and_synced_in_place(
    admin: Any,
    peer: RestServer,
    axe: Any,  # noqa: F811
) -> None:
    page = admin(f"{LIST}add/")
    hidden_at_first = page.is_hidden("#id_auth_secret_ref")
    page.fill("#id_name", "Shop")
    page.fill("#id_endpoint_url", peer.url)
    page.click("[data-test-connection]")
    page.wait_for_selector("text=It wants a credential (HTTP 401).")
    page.select_option("#id_auth_type", "bearer")
    shown_then = page.is_visible("#id_auth_secret_ref") and page.is_hidden("#id_auth_header")
    page.fill("#id_auth_secret_ref", SECRET)
    page.press("#id_auth_secret_ref", "Tab")
    page.click("[data-test-connection]")
    page.wait_for_selector("text=It lists 2 tools.")
    kept = page.input_value("#id_auth_secret_ref"), page.input_value("#id_slug")
    stored_before = MCPServer.objects.exists()
    picture(page, "server-tested")
    found = serious(axe, page)

    page.click("text=Save and sync tools")
    page.wait_for_selector("text=2 added.")
    page.reload()
    picture(page, "server")

    assert hidden_at_first and shown_then
    assert kept == (SECRET, "shop")
    assert not stored_before
    assert page.locator("text=What the last change brought").count() == 1
    assert SECRET not in page.content()
    assert MCPTool.objects.usable().count() == 2
    assert found + serious(axe, page) == []


def test_what_is_wrong_with_a_field_that_does_not_apply_is_seen(admin: Any) -> None:
    server = add_server(auth_secret_ref=SECRET)
    page = admin(f"{LIST}{server.pk}/change/")
    hidden_at_first = page.is_hidden("#id_auth_secret_ref")

    page.fill("#id_endpoint_url", "https://other.example/mcp")
    page.click("text=Save and continue editing")
    page.wait_for_selector("text=Type the secret again")

    assert hidden_at_first
    assert page.is_visible("#id_auth_secret_ref")


def test_a_sync_is_seen_from_its_beginning_to_its_end_without_a_reload(
    admin: Any, peer: RestServer
) -> None:
    held = threading.Event()

    class Held(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            assert held.wait(20)
            return super().__iter__()

    peer.tools, peer.credential = Held([listed("search")]), None
    add_server("shop", peer.url, settled_protocol="rest")
    add_server("other", peer.url, settled_protocol="rest")
    page = admin()
    page.check("#action-toggle")
    page.select_option("select[name=action]", "sync_tools")
    page.click("button[name=index]")
    page.wait_for_selector("text=Running since")
    picture(page, "servers-syncing")
    page.evaluate("window.untouched = true")
    held.set()
    page.wait_for_function("!document.querySelector('[data-live]')")

    assert page.locator("text=1 added.").count() == 2
    assert page.evaluate("window.untouched")
    page.reload()
    picture(page, "servers")


def test_a_list_is_imported_on_a_phone_without_javascript(admin: Any) -> None:
    text = json.dumps(
        {
            "mcpServers": {
                "shop": {"url": "https://shop.example/mcp", "headers": {"X-Key": "${SHOP}"}},
                "raw": {
                    "url": "https://raw.example/mcp",
                    "headers": {"Authorization": f"Bearer {SECRET}"},
                },
                "files": {"command": "npx", "args": ["-y", "mcp-files", "/srv"]},
                "unwanted": {"url": "https://unwanted.example/mcp"},
            }
        }
    )
    page = admin(java_script_enabled=False, **PHONE)
    page.click("text=Import")
    page.fill("#id_text", text)
    narrow = fits(page)
    page.click("text=Look at it")
    page.wait_for_selector("text=3 servers can be created.")
    picture(page, "import")
    secret_shown = SECRET in page.content()
    page.check("[aria-label='Leave out unwanted']")
    narrow = narrow and fits(page)
    page.click("text=Create these servers, switched off")
    page.wait_for_selector("text=2 servers are created, switched off.")

    assert narrow
    assert not secret_shown
    assert set(MCPServer.objects.values_list("slug", flat=True)) == {"shop", "raw"}


def test_without_javascript_the_test_shows_the_page_with_all_that_was_typed(
    admin: Any, peer: RestServer
) -> None:
    page = admin(f"{LIST}add/", java_script_enabled=False, **PHONE)
    page.fill("#id_name", "Shop")
    page.fill("#id_endpoint_url", peer.url)
    page.click("[data-test-connection]")
    page.wait_for_selector("text=It wants a credential (HTTP 401).")
    picture(page, "server-tested")

    assert page.input_value("#id_endpoint_url") == peer.url
    assert fits(page)
    page.fill("#id_slug", "shop")
    page.click("input[name=_save]")
    page.wait_for_selector("text=was added successfully")


def test_the_registry_is_searched_and_an_entry_added(
    admin: Any,
    axe: Any,  # noqa: F811
    settings: Any,
) -> None:
    found: list[str] = []
    servers = [
        {
            "name": f"io.example/weather-{number}",
            "title": f"Weather {number}",
            "description": "Forecasts for every place, by the hour.",
            "version": "1.0.2",
            "remotes": [{"type": "streamable-http", "url": f"https://w{number}.example/mcp"}],
        }
        for number in range(3)
    ]
    with Registry(servers) as registry:
        settings.AUTOMATE = {
            "MCP_REGISTRY_URL": registry.url,
            "MCP_PRIVATE_HOSTS": ("127.0.0.1",),
        }
        page = admin()
        page.click("text=Search the registry")
        page.fill("#automate-q", "weather")
        page.press("#automate-q", "Enter")
        page.wait_for_selector("text=Weather 2")
        picture(page, "registry")
        found += serious(axe, page)
        page.click("[aria-label='Add io.example/weather-1']")
        page.wait_for_selector("text=1 server can be created.")
        picture(page, "registry-import")
        found += serious(axe, page)
        close_pools()
    page.click("text=Create these servers, switched off")
    page.wait_for_selector("text=1 server is created, switched off.")

    assert found == []
    assert MCPServer.objects.get().endpoint_url == "https://w1.example/mcp"
