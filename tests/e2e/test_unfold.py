"""The admin's pages of ours where django-unfold is its theme, in a real browser."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from automate.admin.base import HAS_UNFOLD
from automate.models import MCPServer, MCPTool
from automate.sync import sync_server
from automate_llm.http import close_pools
from chat.budgets import today
from chat.models import DailyUsage
from tests.automate.making import add_server, listed
from tests.chat.test_dashboard import add_call
from tests.servers.rest import RestServer

from .conftest import Tabs, cookies_of
from .test_accessible import axe  # noqa: F401
from .test_server_pages import PICTURES, serious

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        find_spec("unfold") is None, reason="no django-unfold: pip install -e .[e2e]"
    ),
]
SERVERS, TOOLS = "/admin/automate/mcpserver/", "/admin/automate/mcptool/"
CALLS, DASHBOARD = "/admin/automate_chat/callrecord/", "/admin/automate_chat/dashboard/"
BORDERLESS = """() => [...document.querySelectorAll("#content :is(input, select, textarea)")]
    .filter((each) => each.checkVisibility() && !each.closest("#changelist-search"))
    .filter((each) => !each.matches("[type=checkbox], [type=radio]"))
    .filter((each) => parseFloat(getComputedStyle(each).borderTopWidth) < 1)
    .map((each) => each.outerHTML.slice(0, 120))"""
"""Fields of a form that do not look like any."""
SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "description": "What to say."},
        "tone": {"enum": ["kind", "curt"]},
        "loud": {"type": "boolean"},
    },
    "required": ["text"],
}


@dataclass
class Themed:
    """The site with unfold, in a process of its own on the database of the tests."""

    url: str


@pytest.fixture
def themed(transactional_db: None) -> Iterator[Themed]:
    assert not HAS_UNFOLD
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.unfold_settings",
        "UNFOLD_DATABASE": str(connection.settings_dict["NAME"]),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "manage.py", "runserver", "--noreload", "--insecure", "127.0.0.1:0"]
    with subprocess.Popen(  # noqa: S603 - our own command
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as running:
        assert running.stdout is not None
        found = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in running.stdout)
        address = next((match[0] for match in found if match), None)
        try:
            assert address, "the site with unfold did not start"
            yield Themed(address)
        finally:
            running.terminate()


@pytest.fixture
def admin(chromium: Any, themed: Any, user: Any, client: Any) -> Iterator[Callable[..., Any]]:
    """Open a page as a superuser; an error in any page fails the test."""
    user.is_staff = user.is_superuser = True
    user.save()
    client.force_login(user)
    opened = Tabs(chromium, themed, cookies_of(client, themed))
    yield lambda path, **options: opened.open(path, ready="#content", **options)
    for context in opened.contexts:
        context.close()

    assert opened.trouble == []


@pytest.fixture
def server() -> Iterator[MCPServer]:
    """One with two tools, the second of which waits for its review."""
    offered = [listed("search", schema=SCHEMA)]
    with RestServer(offered, lambda tool, arguments: "Three mugs.") as peer:
        row = add_server(url=peer.url)
        sync_server(row)
        peer.tools = [*offered, listed("order")]
        sync_server(row)
        yield row
        close_pools()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_has_fields_and_titles_to_see(
    admin: Any,
    server: MCPServer,
    axe: Any,  # noqa: F811
    user: Any,
    theme: str,
) -> None:
    tool = MCPTool.objects.get(name="search")
    add_call(tool, "failed", created_at=timezone.now())
    DailyUsage.objects.create(day=today(), user=user, prompt_tokens=1_200)
    page = admin(SERVERS, color_scheme=theme, viewport={"width": 1280, "height": 800})
    pages = {
        SERVERS: "MCP servers",
        f"{SERVERS}{server.pk}/change/": "Shop",
        f"{SERVERS}import/": "Import servers",
        TOOLS: "MCP tools",
        f"{TOOLS}{tool.pk}/change/": "search",
        f"{TOOLS}review/": "Review",
        f"{CALLS}try/{tool.pk}/": "Try this tool",
        CALLS: "Tool calls on record",
        DASHBOARD: "Dashboard",
    }
    found = []
    for path, title in pages.items():
        page.goto(page.url.split("/admin/")[0] + path)
        if not page.locator(":is(h1, h2)", has_text=title).count():
            found.append(f"{path}: no title {title!r}")
        found += [f"{path}: {each}" for each in page.evaluate(BORDERLESS)]
        if "automate-page" in page.content():
            found += [f"{path}: {each}" for each in serious(axe, page)]
        if PICTURES:
            name = f"unfold{path.replace('/', '-')}{theme}.png"
            page.screenshot(path=str(Path(PICTURES) / name), full_page=True)
    bar = page.locator(".automate-chart .bar").evaluate("bar => getComputedStyle(bar).fill")

    assert bar != "rgb(0, 0, 0)"
    assert not found, "\n".join(found)


def test_a_server_is_tried_and_edited_and_its_tool_reviewed_and_run(
    admin: Any, server: MCPServer
) -> None:
    page = admin(f"{SERVERS}{server.pk}/change/")
    page.fill("#id_name", "Shop of mugs")
    page.click("[data-test-connection]")
    page.wait_for_selector("text=It lists 2 tools.")
    page.click("[name=_save]")
    page.wait_for_selector("text=was changed successfully")
    page.click("a >> text=Import")
    page.wait_for_selector("text=switched off")

    page.goto(page.url.split("/admin/")[0] + f"{TOOLS}review/")
    page.click("article button[name=approve]")
    page.wait_for_selector("text=1 tool is approved.")

    tool = MCPTool.objects.get(name="search")
    page.goto(page.url.split("/admin/")[0] + f"{TOOLS}{tool.pk}/change/")
    page.click("a.button >> text=Try this tool")
    page.fill("textarea, [name=arguments-f0]", "Hello")
    page.click("text=Run the tool")
    page.check("[name=confirmed]")
    page.click("text=Run the tool")
    page.wait_for_selector("text=Three mugs.")

    server.refresh_from_db()
    assert server.name == "Shop of mugs"
    assert MCPTool.objects.usable().count() == 2
