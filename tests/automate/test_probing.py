"""“Test connection”: what is typed is tried against real peers, and nothing is stored."""

import re
import time
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from automate.models import MCPServer, OAuthToken
from automate_llm import http
from tests.servers import tls
from tests.servers.oauth import OAuthServer
from tests.servers.rest import RestServer

from .making import add_server, listed
from .oauth_making import hold, person
from .test_oauth_admin import oauth_form
from .test_server_admin import ADD, SECRET, form, page_of

pytestmark = pytest.mark.django_db
PROBE = f"{ADD}test/"


def probe_of(server: MCPServer) -> str:
    return f"{page_of(server)}test/"


def found(client: Client, address: str = PROBE, **fields: Any) -> str:
    """What the test says, as text, as a page with JavaScript gets it."""
    answer = client.post(address, form(**fields), headers={"X-Requested-With": "fetch"})
    assert answer.status_code == 200
    assert SECRET not in answer.content.decode()
    text = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return re.sub(r"\s+", " ", unescape(text))


@pytest.mark.parametrize("kind", ["mcp", "sse", "rest"])
def test_the_protocol_and_the_tools_are_told_and_nothing_is_stored(
    admin_client: Client, sdk_server: Any, rest_server: Any, kind: str
) -> None:
    if kind == "rest":
        url = rest_server([listed("search"), listed("fetch"), {"name": "broken"}]).url
    else:
        from tests.servers.mcp_sdk import Offer

        url = sdk_server(Offer("search"), Offer("fetch"), sse=kind == "sse").url

    said = found(admin_client, name="", slug="", endpoint_url=url)

    words = {
        "mcp": "It speaks MCP, version 2026-07-28.",
        "sse": "It speaks MCP over HTTP+SSE, version 20",
        "rest": "It speaks the simple HTTP dialect.",
    }
    assert words[kind] in said
    assert "It lists 2 tools. search fetch" in said
    assert ("1 tool would be left out." in said) == (kind == "rest")
    assert "It took 0." in said
    assert not MCPServer.objects.exists()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"endpoint_url": "http://nobody.invalid/mcp"}, "No address is known for the name"),
        ({"endpoint_url": "http://127.0.0.1:1/api"}, "Nothing listens at 127.0.0.1:1."),
        ({"endpoint_url": "ftp://shop"}, "Not tried. Look at: Endpoint URL. Start with http"),
        ({"auth_type": "bearer"}, "This authentication needs a secret."),
        (
            {"auth_type": "bearer", "auth_secret_ref": "env:NOT_SET_HERE"},
            "'NOT_SET_HERE' is not there.",
        ),
        ({"endpoint_url": "stdio:git"}, "has no command of this name"),
        ({"auth_type": "oauth_client"}, "Fill in the OAuth settings first."),
        ({"timeout": "nonsense"}, "Not tried. Look at: Time limit."),
        ({"endpoint_url": "http://169.254.169.254/"}, "No setting allows that."),
    ],
)
def test_what_stands_in_the_way_is_told_in_plain_words(
    admin_client: Client, fields: dict[str, str], words: str
) -> None:
    assert words in found(admin_client, **fields)


def test_the_exact_setting_that_would_allow_a_private_address_is_told(
    admin_client: Client, settings: Any, peer: RestServer
) -> None:
    settings.AUTOMATE = {"MCP_PRIVATE_HOSTS": ("mcp.internal",)}

    said = found(admin_client, endpoint_url=peer.url)

    [line] = re.findall(r'"MCP_PRIVATE_HOSTS": (\(.*?\)),', said)
    assert peer.requests == []
    settings.AUTOMATE = {"MCP_PRIVATE_HOSTS": eval(line)}
    assert settings.AUTOMATE["MCP_PRIVATE_HOSTS"] == ("mcp.internal", f"127.0.0.1:{peer.port}")
    assert "It speaks the simple HTTP dialect." in found(admin_client, endpoint_url=peer.url)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "may not do this (HTTP 403)"),
        (404, "nothing is at this address (HTTP 404). Check the path. Many servers are at /mcp"),
        (500, "HTTP 500: the server failed"),
        (302, "HTTP 302: redirects are not followed"),
        (429, "HTTP 429"),
    ],
)
def test_a_refusal_is_told_by_its_meaning(
    admin_client: Client, peer: RestServer, status: int, words: str
) -> None:
    peer.refuse_with = status

    assert words in found(admin_client, endpoint_url=peer.url)


@pytest.mark.parametrize("login", ["none", "bearer"])
def test_what_a_server_asks_for_is_told_and_no_secret_that_it_repeats(
    admin_client: Client, raw_server: Any, login: str
) -> None:
    asked = (
        f'Bearer realm="{SECRET}", error="{SECRET}<b>", scope="read write", '
        'resource_metadata="https://shop.example/.well-known/oauth-protected-resource"'
    )

    def script(connection: Any) -> None:
        connection.read_request()
        headers = {"WWW-Authenticate": asked, "Content-Length": "0"}
        connection.send(b"HTTP/1.1 401 No\r\n")
        for name, value in headers.items():
            connection.send(f"{name}: {value}\r\n".encode())
        connection.send(b"\r\n")

    url = raw_server(script).url
    secret = SECRET if login == "bearer" else ""
    if login == "none":
        asked = asked.replace(SECRET, "expired")

    said = found(admin_client, endpoint_url=url, auth_type=login, auth_secret_ref=secret)

    assert "It asks for: Bearer." in said
    assert "Scopes: read write." in said
    assert "https://shop.example/.well-known/oauth-protected-resource" in said
    assert ("does not accept the secret" in said) == (login == "bearer")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>Shop</html>", "Something answers there, but it is no MCP server"),
        (b'{"jsonrpc": "2.0"}', "Something answers there, but it is no MCP server"),
    ],
)
def test_a_page_that_is_no_mcp_server_is_called_so(
    admin_client: Client, raw_server: Any, body: bytes, words: str
) -> None:
    def script(connection: Any) -> None:
        while True:
            connection.read_request()
            kind = "text/html" if body.startswith(b"<") else "application/json"
            length = str(len(body))
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
            connection.send(head.encode() + body)

    assert words in found(admin_client, endpoint_url=raw_server(script).url)


def test_a_server_that_says_nothing_costs_the_time_limit_and_no_more(
    admin_client: Client, raw_server: Any
) -> None:
    url = raw_server(lambda connection: connection.wait_for_end()).url
    started = time.monotonic()

    said = found(admin_client, endpoint_url=url, timeout="0.3")

    assert "No complete answer came within 0.3 seconds." in said
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("certificate", "trusted", "words"),
    [
        ({}, False, "is signed by itself. For an authority of your own"),
        ({"days": -1}, True, "has expired. The server needs a new one."),
        ({"name": "shop.example"}, True, "is for another address. Use the name"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_told(
    admin_client: Client,
    raw_server: Any,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    certificate: dict[str, Any],
    trusted: bool,
    words: str,
) -> None:
    path = tls.certificate(tmp_path / "both.pem", **certificate)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", path)
        monkeypatch.setattr(http._shared, "tls", None)
        http.close_pools()
    server = tls.inside_tls(raw_server, path)(lambda connection: connection.wait_for_end())

    said = found(admin_client, endpoint_url=server.url)

    assert f"The certificate of 127.0.0.1:{server.port} does not hold: it {words}" in said
    assert server.requests == []


def test_a_server_without_tls_is_told_apart(admin_client: Client, raw_server: Any) -> None:
    server = raw_server(lambda connection: connection.send(b"HTTP/1.1 200 OK\r\n\r\n" * 10))

    said = found(admin_client, endpoint_url=server.url.replace("http:", "https:"))

    assert "does not speak TLS." in said


def test_the_stored_secret_is_used_for_its_own_host_alone(
    admin_client: Client, rest_server: Callable[..., RestServer]
) -> None:
    own = rest_server([listed("search")], token=SECRET)
    evil = rest_server([listed("search")])
    server = add_server(url=own.url, auth_type="bearer", auth_secret_ref=SECRET)

    of_own = found(admin_client, probe_of(server), endpoint_url=own.url, auth_type="bearer")
    of_evil = found(admin_client, probe_of(server), endpoint_url=evil.url, auth_type="bearer")
    server.refresh_from_db()

    assert "It lists 1 tool." in of_own
    assert "The secret goes there unencrypted." in of_own
    assert "Type the secret again" in of_evil
    assert evil.requests == []
    assert (server.endpoint_url, server.last_synced) == (own.url, None)


def test_without_javascript_the_page_comes_again_with_what_was_typed(
    admin_client: Client, peer: RestServer, offering: Callable[..., None]
) -> None:
    offering("search")
    typed = {"name": "", "endpoint_url": peer.url, "required_permission": "shop.view_it"}
    secret = {"auth_type": "bearer", "auth_secret_ref": SECRET}

    page = admin_client.post(PROBE, form(**typed, **secret))
    shown = page.content.decode()

    assert page.status_code == 200
    assert "It lists 1 tool." in shown
    assert f'value="{peer.url}"' in shown and 'value="shop.view_it"' in shown
    assert SECRET not in shown
    assert "This field is required" not in shown
    assert f'action="{ADD}"' in shown
    assert f'formaction="{PROBE}"' in shown
    assert not MCPServer.objects.exists()


def test_a_change_that_is_tried_is_not_saved(admin_client: Client, peer: RestServer) -> None:
    server = add_server(auth_secret_ref="env:SHOP")
    typed = form(name="Tried", endpoint_url=peer.url, auth_secret_ref="env:OTHER")

    shown = admin_client.post(probe_of(server), typed).content.decode()

    server.refresh_from_db()
    assert (server.name, server.auth_secret_ref) == ("Shop", "env:SHOP")
    assert 'value="Tried"' in shown
    assert f'action="{page_of(server)}"' in shown


def test_the_sites_own_access_is_tried_and_its_token_forgotten(
    admin_client: Client, oauth_peer: OAuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_SECRET", "s3cret-of-client")
    oauth_peer.clients["site"] = "s3cret-of-client"
    oauth = {"oauth-0-issuer": oauth_peer.issuer, "oauth-0-client_secret_ref": "env:SHOP_SECRET"}
    data = oauth_form(**oauth, endpoint_url=oauth_peer.url)

    shown = admin_client.post(PROBE, data, headers={"X-Requested-With": "fetch"}).content.decode()

    assert "It lists" in shown
    assert len(oauth_peer.to("/token")) == 1
    assert not OAuthToken.objects.exists()


def test_a_server_of_peoples_accounts_is_well_when_it_asks_for_one(
    admin_client: Client, oauth_peer: OAuthServer
) -> None:
    said = found(admin_client, endpoint_url=oauth_peer.url, auth_type="oauth_user")

    assert "wants each person's own account, as chosen." in said
    assert "It is protected by OAuth" in said


@pytest.mark.parametrize("rights", [[], ["view_mcpserver"], ["add_mcpserver"]])
def test_who_may_not_save_may_not_try(client: Client, peer: RestServer, rights: list[str]) -> None:
    staff = User.objects.create_user("staff", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(staff)
    server = add_server(url=peer.url)
    data = form(endpoint_url=peer.url)

    of_change = client.post(probe_of(server), data).status_code
    of_add = client.post(PROBE, data).status_code

    assert of_change == 403
    assert of_add == (200 if "add_mcpserver" in rights else 403)
    assert bool(peer.requests) == ("add_mcpserver" in rights)


def test_the_address_of_the_test_leads_back_to_the_form(admin_client: Client) -> None:
    assert admin_client.get(PROBE).headers["Location"] == ADD
    assert admin_client.post(f"{ADD}../999/change/test/", form()).status_code == 404


def test_the_try_leaves_accounts_alone(admin_client: Client, oauth_peer: OAuthServer) -> None:
    server = add_server(url=oauth_peer.url, auth_type="oauth_user")
    hold(oauth_peer, server, person("ann"))

    found(admin_client, probe_of(server), endpoint_url=oauth_peer.url, auth_type="oauth_user")

    assert not any("authorization" in seen.headers for seen in oauth_peer.requests)
