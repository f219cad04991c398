"""Servers behind OAuth: for whom each is reached, and how they are synced."""

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from automate.models import MCPServer, MCPServerOAuth
from automate.sync import sync_server
from automate_llm.exceptions import AuthorizationRequired, SecretUnavailable
from automate_llm.mcp_client import MCPClient
from tests.servers.oauth import OAuthServer, Reply
from tests.servers.recording import Seen

from .making import add_server, listed
from .oauth_making import add_oauth_server, browser_of, call, connect, hold, person, row_of

SECRET = "s3cret-of-the-site"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def peer(oauth_peer: OAuthServer) -> OAuthServer:
    """A server behind OAuth that lists one tool and knows the site as a client."""
    guarded = oauth_peer.routes["GET", "/api/tools"]

    def list_tools(seen: Seen) -> Reply:
        reply = guarded(seen)
        offer = {"tools": [listed("search")]}
        return replace(reply, body=offer) if reply.status == 200 else reply

    oauth_peer.routes["GET", "/api/tools"] = list_tools
    oauth_peer.clients["site"] = SECRET
    return oauth_peer


def add_own(peer: OAuthServer, **settings: Any) -> MCPServer:
    """A server that the site reaches by its own credentials."""
    server = add_server(url=peer.url, auth_type="oauth_client", protocol="rest")
    complete = {"issuer": peer.issuer, "client_id": "site", **settings}
    MCPServerOAuth.objects.create(server=server, **complete)
    return server


def test_the_site_gets_a_token_of_its_own_and_keeps_it(peer: OAuthServer) -> None:
    server = add_own(peer, client_secret_ref=SECRET, scopes="read write")

    reports = [sync_server(server), sync_server(server)]

    assert [report.error for report in reports] == ["", ""]
    assert reports[0].added == ["search"]
    assert peer.grants() == ["client_credentials"]
    assert peer.to("/token")[0].body["scope"] == "read write"
    assert row_of(server, None).token is not None


def test_the_site_proves_itself_with_its_private_key(peer: OAuthServer, tmp_path: Path) -> None:
    key = generate_private_key(SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    peer.clients.clear()
    server = add_own(
        peer,
        private_key_ref=f"file:{tmp_path / 'key.pem'}",
        token_endpoint_auth_method="private_key_jwt",
    )

    report = sync_server(server)

    assert report.error == ""
    assert peer.to("/token")[0].body["client_assertion"].count(".") == 2


def test_everybody_calls_with_the_sites_own_token(peer: OAuthServer) -> None:
    server = add_own(peer, client_secret_ref=SECRET)

    assert [call(server, person(name)) for name in ("ann", "bob")] == ["done", "done"]

    assert peer.grants() == ["client_credentials"]


def test_a_wrong_secret_is_told_without_it(peer: OAuthServer) -> None:
    server = add_own(peer, client_secret_ref="wr0ng-secret")

    report = sync_server(server)

    assert "it does not accept the client or its secret" in report.error
    assert "wr0ng" not in MCPServer.objects.get().last_error


def test_a_secret_that_is_not_there_is_named(peer: OAuthServer) -> None:
    with pytest.raises(SecretUnavailable, match="NOT_SET_HERE"):
        add_own(peer, client_secret_ref="env:NOT_SET_HERE").connection()


def test_the_secret_goes_to_its_issuer_only(peer: OAuthServer) -> None:
    server = add_own(peer, client_secret_ref=SECRET, issuer="https://login.example.com")

    report = sync_server(server)

    assert "names other authorization servers than 'https://login.example.com'" in report.error
    assert not peer.to("/token")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"client_id": "site"}, "issuer"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "client_secret_ref"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "private_key_ref"),
        ({"private_key_ref": "-----BEGIN PRIVATE KEY-----"}, "private_key_ref"),
        ({"issuer": "https://login.example.com/?tenant=1"}, "issuer"),
        ({"issuer": "stdio:git"}, "issuer"),
        ({"scopes": 'read "write"'}, "scopes"),
        ({"scopes": "read  write"}, "scopes"),
    ],
)
def test_settings_that_could_not_work_are_refused(settings: dict[str, str], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        MCPServerOAuth(server=add_server(), **settings).full_clean()

    assert list(caught.value.message_dict) == [field]


@pytest.mark.parametrize("nobody", [None, AnonymousUser()])
def test_a_server_of_people_is_reached_by_nobody(peer: OAuthServer, nobody: Any) -> None:
    server = add_oauth_server(peer)

    with pytest.raises(AuthorizationRequired, match="each person's own account"):
        MCPClient(server if nobody is None else server.for_user(nobody)).discover()

    assert peer.requests == []


def test_nothing_is_sent_for_a_person_without_an_account(peer: OAuthServer) -> None:
    server, ann = add_oauth_server(peer), person("ann")
    hold(peer, server, person("bob"))

    with pytest.raises(AuthorizationRequired, match="Connect your account of Shop first"):
        call(server, ann)

    assert peer.requests == []


def test_each_person_is_somebody_else_there(peer: OAuthServer) -> None:
    server, ann, bob = add_oauth_server(peer), person("ann"), person("bob")
    tokens = [hold(peer, server, user).access_token for user in (ann, bob)]

    call(server, ann)
    call(server, bob)

    sent = [seen.headers["authorization"] for seen in peer.to("/api/execute")]
    assert sent == [f"Bearer {token}" for token in tokens]


def test_an_access_that_ended_is_said_on_the_page_too(peer: OAuthServer) -> None:
    server, user = add_oauth_server(peer), person()
    hold(peer, server, user, ended=True)
    peer.refresh_tokens.clear()

    with pytest.raises(AuthorizationRequired, match="has ended the connection"):
        call(server, user)

    assert "has ended the connection" in row_of(server, user).attention


def test_connecting_again_asks_for_the_rights_that_were_missing(peer: OAuthServer) -> None:
    server, user = add_oauth_server(peer), person()
    browser = browser_of(user)
    connect(browser, server)
    peer.scope = "write"
    with pytest.raises(AuthorizationRequired, match="more rights"):
        call(server, user)

    connect(browser, server)

    asked = parse_qs(urlsplit(peer.to("/authorize")[-1].path).query)
    assert asked["scope"] == ["write"]
    assert row_of(server, user).attention == ""


def test_a_token_endpoint_that_answers_html_is_told_to_the_caller(peer: OAuthServer) -> None:
    server, user = add_oauth_server(peer), person()
    hold(peer, server, user, ended=True)
    peer.routes["POST", "/token"] = lambda seen: Reply(502, "<b>Bad gateway</b>")

    with pytest.raises(Exception, match="text/html instead of JSON"):
        call(server, user)

    assert row_of(server, user).token is not None


def test_a_sync_asks_with_the_account_of_who_wants_it(peer: OAuthServer) -> None:
    server, ann, bob = add_oauth_server(peer), person("ann", is_staff=True), person("bob")
    hold(peer, server, ann)
    token = hold(peer, server, bob)

    report = sync_server(server, user=bob)

    assert report.added == ["search"]
    assert peer.to("/api/tools")[0].headers["authorization"] == f"Bearer {token.access_token}"


def synced(*options: str) -> str:
    out = StringIO()
    call_command("sync_mcp_tools", *options, stdout=out)
    return out.getvalue()


def test_the_command_asks_with_the_account_that_staff_connected_first(peer: OAuthServer) -> None:
    server = add_oauth_server(peer)
    hold(peer, server, person("visitor"))
    hold(peer, server, person("gone", is_staff=True, is_active=False))
    token = hold(peer, server, person("ann", is_staff=True))
    hold(peer, server, person("bea", is_staff=True))

    synced()

    assert peer.to("/api/tools")[0].headers["authorization"] == f"Bearer {token.access_token}"


def test_the_command_asks_with_the_account_that_it_is_told(peer: OAuthServer) -> None:
    server = add_oauth_server(peer)
    hold(peer, server, person("ann", is_staff=True))
    token = hold(peer, server, person("bob"))

    synced("--user=bob")

    assert peer.to("/api/tools")[0].headers["authorization"] == f"Bearer {token.access_token}"


def test_the_command_says_who_is_missing(peer: OAuthServer) -> None:
    server = add_oauth_server(peer)
    hold(peer, server, person("visitor"))

    with pytest.raises(CommandError, match="'nobody'"):
        synced("--user=nobody")
    with pytest.raises(CommandError, match="1 of 1 servers failed: shop"):
        synced()

    assert "each person's own account" in MCPServer.objects.get().last_error
    assert peer.requests == []
