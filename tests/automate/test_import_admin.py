"""Import, export and the registry in the admin."""

import json
import re
import time
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from automate.models import MCPServer
from automate_llm.http import close_pools
from tests.servers.registry import Registry

from .making import add_server
from .test_server_admin import LIST, messages_of

pytestmark = pytest.mark.django_db
IMPORT = f"{LIST}import/"
REGISTRY = f"{LIST}registry/"
SECRET = "ghp_Abc123Abc123Abc123Abc123"


def listed(**servers: Any) -> str:
    return json.dumps({"mcpServers": servers})


def chosen_in(page: Any) -> str:
    """What the preview hands on."""
    found = re.search(r'name="chosen" value="([^"]*)"', page.content.decode())
    assert found is not None
    return unescape(found[1])


def create(client: Client, page: Any, *left_out: str) -> Any:
    data = {"chosen": chosen_in(page), "leave_out": list(left_out)}
    return client.post(IMPORT, data, follow=True)


@pytest.mark.parametrize("way", ["paste", "upload"])
def test_a_list_is_looked_at_and_then_created_switched_off(admin_client: Client, way: str) -> None:
    text = listed(
        shop={"url": "https://shop.example/mcp", "headers": {"Authorization": "Bearer ${SHOP}"}},
        raw={"url": "https://raw.example/mcp", "headers": {"X-Key": SECRET}},
        broken={"command": "npx", "args": ["mcp-shop", "--token", SECRET]},
        unwanted={"url": "https://unwanted.example"},
    )
    file = SimpleUploadedFile("servers.json", b"\xef\xbb\xbf" + text.encode())

    preview = admin_client.post(IMPORT, {"text": text} if way == "paste" else {"file": file})
    created_before = MCPServer.objects.count()
    done = create(admin_client, preview, "unwanted")

    shown = preview.content.decode()
    assert created_before == 0
    assert "3 servers can be created." in shown and "1 entry cannot." in shown
    assert "env:SHOP" in shown and "environment variable RAW_KEY" in shown
    assert "&quot;command&quot;: [&quot;npx&quot;, &quot;mcp-shop&quot;" in shown
    assert SECRET not in shown
    rows = MCPServer.objects.order_by("slug").values_list("slug", "enabled", "auth_secret_ref")
    assert list(rows) == [("raw", False, "env:RAW_KEY"), ("shop", False, "env:SHOP")]
    assert messages_of(done)[0].startswith("success: 2 servers are created, switched off.")
    assert LogEntry.objects.count() == 2


def test_of_a_thousand_entries_with_ten_broken_ones_all_others_are_created(
    admin_client: Client,
) -> None:
    servers: dict[str, Any] = {f"s{n}": {"url": f"https://s{n}.example/mcp"} for n in range(990)}
    broken = {f"broken{n}": {"url": "ftp://nowhere"} for n in range(10)}

    started = time.monotonic()
    preview = admin_client.post(IMPORT, {"text": listed(**servers, **broken)})
    with CaptureQueriesContext(connection) as queries:
        done = admin_client.post(IMPORT, {"chosen": chosen_in(preview)})
    seconds = time.monotonic() - started

    shown = preview.content.decode()
    assert "990 servers can be created." in shown and "10 entries cannot." in shown
    assert shown.count("Start with http://") == 10
    assert done.status_code == 302
    assert MCPServer.objects.filter(enabled=False).count() == 990
    assert len(queries) < 20
    assert seconds < 20


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"text": ""}, "It is no JSON"),
        ({"text": "nonsense " + SECRET}, "It is no JSON: line 1, column 1."),
        ({"file": b"\xff\xfe"}, "It is no text in UTF-8."),
        ({"file": b" " * (1024 * 1024 + 1)}, "It is longer than 1 MB."),
        ({"text": "x" * (1024 * 1024 + 1)}, "It is longer than 1 MB."),
    ],
)
def test_rubbish_is_told_and_does_not_come_back(
    admin_client: Client, data: dict[str, Any], problem: str
) -> None:
    files = {
        name: SimpleUploadedFile("x.json", body) for name, body in data.items() if name == "file"
    }

    answer = admin_client.post(IMPORT, data | files)

    assert answer.status_code == 200
    assert problem in answer.content.decode()
    assert SECRET not in answer.content.decode()
    assert not MCPServer.objects.exists()


def test_two_who_import_the_same_list_create_it_once(admin_client: Client) -> None:
    text = listed(shop={"url": "https://shop.example"}, other={"url": "https://other.example"})
    first, second = (admin_client.post(IMPORT, {"text": text}) for _ in range(2))

    create(admin_client, first)
    again = create(admin_client, second)

    assert MCPServer.objects.count() == 2
    assert "The slug shop is taken by “shop”." in again.content.decode()
    assert messages_of(again)[-1] == "warning: 2 entries could not be created."


@pytest.mark.parametrize("chosen", ["", "{", "[{}]", "[" * 100_000, '{"a": 1}', "7"])
def test_a_form_that_was_changed_on_its_way_creates_nothing(
    admin_client: Client, chosen: str
) -> None:
    answer = admin_client.post(IMPORT, {"chosen": chosen}, follow=True)

    assert messages_of(answer)[0].startswith("error: ")
    assert not MCPServer.objects.exists()


def test_what_has_the_same_address_is_left_out_unless_somebody_wants_it(
    admin_client: Client,
) -> None:
    add_server("shop", "https://shop.example")

    shown = admin_client.post(IMPORT, {"text": listed(copy={"url": "https://shop.example"})})

    assert re.search(r'name="leave_out" value="copy"[^>]* checked', shown.content.decode())


def test_hostile_text_is_shown_as_text(admin_client: Client) -> None:
    text = listed(
        **{"<script>1</script>": {"url": "https://a.example", "headers": {"<b>": "${A}"}}}
    )

    shown = admin_client.post(IMPORT, {"text": text}).content.decode()

    assert "<script>1" not in shown and "<b>" not in shown


@pytest.mark.parametrize("right", ["view", "change", "delete", "add"])
def test_only_who_may_add_servers_may_import(client: Client, right: str, settings: Any) -> None:
    staff = User.objects.create_user("staff", is_staff=True)
    codenames = ["view_mcpserver", f"{right}_mcpserver"]
    staff.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(staff)
    text = listed(shop={"url": "https://shop.example"})

    answers = [
        client.get(IMPORT),
        client.post(IMPORT, {"text": text}),
        client.get(REGISTRY),
        client.get(LIST),
    ]

    may = right == "add"
    assert [each.status_code for each in answers[:3]] == ([200] * 3 if may else [403] * 3)
    assert (IMPORT in answers[3].content.decode()) == may


def test_selected_servers_are_exported_without_their_secrets(admin_client: Client) -> None:
    shop = add_server(auth_type="bearer", auth_secret_ref=SECRET)
    other = add_server("other", "https://other.example")
    add_server("third")

    chosen = {"action": "export_servers", "_selected_action": [shop.pk, other.pk]}
    answer = admin_client.post(LIST, chosen)

    assert answer.headers["Content-Disposition"] == 'attachment; filename="mcp-servers.json"'
    assert set(json.loads(answer.content)["mcpServers"]) == {"shop", "other"}
    assert SECRET not in answer.content.decode()


@pytest.fixture
def registry(settings: Any) -> Iterator[Registry]:
    servers = [
        {
            "name": f"io.example/weather-{number:02}",
            "title": f"Weather <{number}>",
            "description": "It <b>rains</b>.\u202e",
            "version": "1.0",
            "remotes": [{"type": "streamable-http", "url": f"https://w{number}.example/mcp"}],
        }
        for number in range(30)
    ]
    with Registry(servers) as running:
        settings.AUTOMATE = {
            "MCP_REGISTRY_URL": running.url,
            "MCP_PRIVATE_HOSTS": ("127.0.0.1",),
        }
        yield running
        close_pools()


def test_the_registry_is_searched_page_by_page_and_an_entry_leads_to_the_preview(
    admin_client: Client, registry: Registry
) -> None:
    empty = admin_client.get(REGISTRY).content.decode()
    asked_before = list(registry.asked)
    first = admin_client.get(REGISTRY, {"q": "weather"}).content.decode()
    more = re.search(r'href="\?q=weather&amp;cursor=(\w+)"', first)
    assert more is not None
    last = admin_client.get(REGISTRY, {"q": "weather", "cursor": more[1]}).content.decode()
    text = re.findall(r'name="text" value="([^"]*)"', last)[-1]
    preview = admin_client.post(IMPORT, {"text": unescape(text)})
    create(admin_client, preview)

    assert "Search" in empty and asked_before == []
    assert registry.asked[0] == {"search": "weather", "version": "latest", "limit": "20"}
    assert first.count('name="text"') == 20 and last.count('name="text"') == 10
    assert "Weather &lt;0&gt;" in first and "<b>rains" not in first and "\u202e" not in first
    assert "More" not in last
    server = MCPServer.objects.get()
    assert (server.slug, server.endpoint_url) == ("weather-29", "https://w29.example/mcp")
    assert not server.enabled


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "is not JSON"),
        (b'{"servers": 7}', "This is no MCP registry"),
        (b'{"servers": [7, {}, {"server": 1}], "metadata": 7}', "Nothing was found."),
        (b'{"servers": [], "metadata": {"nextCursor": {}}}', "Nothing was found."),
        (b"[" * 10_000, "The registry could not be asked."),
    ],
)
def test_a_registry_that_answers_rubbish_is_told(
    admin_client: Client, registry: Registry, body: bytes, words: str
) -> None:
    registry.body = body

    assert words in admin_client.get(REGISTRY, {"q": "x"}).content.decode()


def test_an_entry_that_says_too_much_of_itself_cannot_be_added_from_the_list(
    admin_client: Client, registry: Registry
) -> None:
    registry.servers = [{"name": "a/big", "remotes": [{"type": "sse", "url": "x" * 70_000}]}]

    shown = admin_client.get(REGISTRY, {"q": "big"}).content.decode()

    assert "a/big" in shown and 'name="text"' not in shown


def test_a_registry_at_a_private_address_is_behind_the_same_door(
    admin_client: Client, registry: Registry, settings: Any
) -> None:
    settings.AUTOMATE = {"MCP_REGISTRY_URL": registry.url}

    shown = admin_client.get(REGISTRY, {"q": "weather"}).content.decode()

    assert "leads to the private address 127.0.0.1" in unescape(shown)
    assert registry.asked == []


def test_without_a_registry_there_is_no_page(admin_client: Client, settings: Any) -> None:
    settings.AUTOMATE = {"MCP_REGISTRY_URL": ""}

    assert admin_client.get(REGISTRY).status_code == 404
    assert REGISTRY not in admin_client.get(LIST).content.decode()
