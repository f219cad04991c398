"""OAuth in the admin of servers, and in the system checks."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from automate import checks
from automate.models import MCPServer, MCPServerOAuth, OAuthToken, ServerSync
from tests.servers.oauth import OAuthServer

from .making import add_server
from .oauth_making import add_oauth_server, browser_of, connect, hold, person
from .test_checks import said
from .test_server_admin import ADD, LIST, act, form, messages_of, page_of

SECRET = "s3cret-of-the-client"
ISSUER = "https://login.example.com"

pytestmark = pytest.mark.django_db


def oauth_form(existing: MCPServerOAuth | None = None, **fields: Any) -> dict[str, Any]:
    """The page of a server with its OAuth settings."""
    settings = {
        "rules-TOTAL_FORMS": "0",
        "rules-INITIAL_FORMS": "0",
        "oauth-TOTAL_FORMS": "1",
        "oauth-INITIAL_FORMS": "1" if existing else "0",
        "oauth-0-issuer": ISSUER,
        "oauth-0-client_id": "site",
        "oauth-0-client_secret_ref": "",
        "oauth-0-private_key_ref": "",
        "oauth-0-token_endpoint_auth_method": "",
        "oauth-0-scopes": "",
    }
    if existing:
        settings |= {"oauth-0-id": existing.pk, "oauth-0-server": existing.server_id}
    return form(**{**settings, "auth_type": "oauth_client", **fields})


def own(**fields: Any) -> MCPServerOAuth:
    """The settings of a server that the site reaches by its own credentials."""
    server = add_server(auth_type="oauth_client")
    settings = {"issuer": ISSUER, "client_id": "site", "client_secret_ref": SECRET, **fields}
    return MCPServerOAuth.objects.create(server=server, **settings)


def test_a_server_of_the_sites_own_access_is_added(admin_client: Client) -> None:
    data = oauth_form(**{"oauth-0-client_secret_ref": "env:SHOP_SECRET", "oauth-0-scopes": "read"})

    admin_client.post(ADD, data)

    stored = MCPServer.objects.get().oauth
    assert (stored.client_id, stored.client_secret_ref) == ("site", "env:SHOP_SECRET")
    assert (stored.issuer, stored.scopes) == (ISSUER, "read")


def test_a_server_of_people_needs_no_settings(admin_client: Client) -> None:
    admin_client.post(ADD, form(auth_type="oauth_user"))

    assert MCPServer.objects.get().auth_type == "oauth_user"
    assert not MCPServerOAuth.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"oauth-0-client_id": "", "oauth-0-issuer": ""},
        {"oauth-0-client_secret_ref": ""},
        {"oauth-0-issuer": "", "oauth-0-client_secret_ref": "env:A"},
        {"oauth-0-private_key_ref": "-----BEGIN PRIVATE KEY-----"},
        {"oauth-TOTAL_FORMS": "0"},
    ],
)
def test_a_server_that_could_not_be_authorized_is_not_saved(
    admin_client: Client, wrong: dict[str, str]
) -> None:
    answer = admin_client.post(ADD, oauth_form(**wrong))

    assert answer.status_code == 200
    assert not MCPServer.objects.exists()


def test_a_clients_secret_is_never_rendered_back(admin_client: Client) -> None:
    settings = own()

    pages = [
        admin_client.get(page_of(settings.server)),
        admin_client.post(page_of(settings.server), oauth_form(settings, name="")),
        admin_client.post(ADD, oauth_form(**{"oauth-0-client_secret_ref": SECRET, "name": ""})),
    ]

    assert [page.status_code for page in pages] == [200, 200, 200]
    assert not any(SECRET in page.content.decode() for page in pages)
    assert "••••" in pages[0].content.decode()


def test_somebody_who_may_only_look_sees_dots(client: Client) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    names = ["view_mcpserver", "view_mcpserveroauth"]
    viewer.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(viewer)

    shown = client.get(page_of(own().server)).content.decode()

    assert "••••" in shown
    assert SECRET not in shown


@pytest.mark.parametrize(
    "moved",
    [{"endpoint_url": "https://evil.example/mcp"}, {"oauth-0-issuer": "https://evil.example"}],
)
def test_a_clients_secret_is_typed_again_where_it_would_serve_another_host(
    admin_client: Client, moved: dict[str, str]
) -> None:
    settings = own()
    data = oauth_form(settings, **moved)

    refused = admin_client.post(page_of(settings.server), data)
    untouched = MCPServerOAuth.objects.get().issuer, MCPServer.objects.get().endpoint_url
    admin_client.post(page_of(settings.server), data | {"oauth-0-client_secret_ref": "env:NEW"})

    assert "Type the secret again" in refused.content.decode()
    assert untouched == (ISSUER, settings.server.endpoint_url)
    assert MCPServerOAuth.objects.get().client_secret_ref == "env:NEW"


@pytest.mark.parametrize(
    ("typed", "cleared", "kept"), [("", "", SECRET), ("env:NEW", "", "env:NEW"), ("", "on", "")]
)
def test_an_empty_field_keeps_the_clients_secret_unless_it_is_to_be_removed(
    admin_client: Client, typed: str, cleared: str, kept: str
) -> None:
    settings = own(private_key_ref="env:KEY")
    fields = {"oauth-0-client_secret_ref": typed, "oauth-0-private_key_ref": "env:KEY"}
    fields |= {"oauth-0-clear_secret": cleared} if cleared else {}

    admin_client.post(page_of(settings.server), oauth_form(settings, **fields))

    settings.refresh_from_db()
    assert settings.client_secret_ref == kept


def test_the_page_names_the_redirect_uri(admin_client: Client) -> None:
    shown = admin_client.get(page_of(add_server()), secure=True).content.decode()

    assert "https://testserver/mcp/accounts/shop/callback/" in shown


def test_the_accounts_of_each_server_are_counted(
    admin_client: Client, oauth_peer: OAuthServer
) -> None:
    server = add_oauth_server(oauth_peer)
    server.tools.create(name="one")
    server.tools.create(name="two")
    for name in ("ann", "bob", "cid"):
        hold(oauth_peer, server, person(name))
    add_server("bank")

    shown = admin_client.get(LIST).content.decode()

    counts = re.findall(r'<td class="field-accounts">(\d+)</td>', shown)
    assert sorted(counts) == ["0", "3"]


@pytest.mark.parametrize(
    ("row", "is_warned_about"),
    [
        ({"renewable": False, "days": 6}, True),
        ({"renewable": False, "days": -1}, True),
        ({"renewable": False, "days": 8}, False),
        ({"renewable": True, "days": -1}, False),
        ({"renewable": True, "days": 30, "attention": "It has ended."}, True),
    ],
)
def test_an_operator_sees_before_an_account_ends(
    admin_client: Client, oauth_peer: OAuthServer, row: dict[str, Any], is_warned_about: bool
) -> None:
    server = add_oauth_server(oauth_peer)
    hold(oauth_peer, server, person("ann"))
    hold(oauth_peer, server, person("bob"))
    row = {**row, "expires_at": timezone.now() + timedelta(days=row["days"])}
    del row["days"]
    OAuthToken.objects.filter(user__username="bob").update(**row)

    pages = [admin_client.get(LIST), admin_client.get(page_of(server))]

    words = "2; 1 has to be connected again within a week"
    assert [words in shown.content.decode() for shown in pages] == [is_warned_about] * 2


def test_all_accounts_of_a_server_are_forgotten_and_no_others(
    admin_client: Client, oauth_peer: OAuthServer
) -> None:
    server, other = add_oauth_server(oauth_peer), add_oauth_server(oauth_peer, "bank")
    connect(browser_of(person("ann")), server)
    hold(oauth_peer, other, person("bob"))

    said = act(admin_client, "forget_accounts", server)

    assert said == ["success: 1 account is forgotten."]
    assert [row.server for row in OAuthToken.objects.all()] == [other]
    assert MCPServer.objects.get(pk=server.pk).oauth_settings.registered_client() is None


def test_sync_uses_the_account_of_the_admin_who_pressed_it(
    admin_client: Client, admin_user: User, oauth_peer: OAuthServer, at_once: Any
) -> None:
    server = add_oauth_server(oauth_peer)
    at_once(act, admin_client, "sync_tools", server)
    first = ServerSync.objects.get().summary
    token = hold(oauth_peer, server, admin_user)

    at_once(act, admin_client, "sync_tools", server)

    assert first == "Connect your account of Shop first."
    assert ServerSync.objects.get().summary == "no tools"
    [seen] = oauth_peer.to("/api/tools")
    assert seen.headers["authorization"] == f"Bearer {token.access_token}"


def test_no_account_shows_in_the_admin(admin_client: Client, oauth_peer: OAuthServer) -> None:
    server = add_oauth_server(oauth_peer)
    token = hold(oauth_peer, server, person())

    pages = [
        admin_client.get(LIST),
        admin_client.get(page_of(server)),
        admin_client.get(page_of(server).replace("change", "delete")),
    ]

    shown = "".join(page.content.decode() for page in pages)
    assert token.access_token not in shown
    assert OAuthToken.objects.get().token_data not in shown


def test_saving_a_server_of_people_asks_for_no_account(admin_client: Client) -> None:
    answer = admin_client.post(ADD, form(auth_type="oauth_user"), follow=True)

    assert not any(message.startswith("warning") for message in messages_of(answer))


def test_a_key_that_is_none_is_an_error_and_not_quoted() -> None:
    [(code, words, hint)] = said(ENCRYPTION_KEYS=["n0-key"])

    assert code == "automate.E008"
    assert "n0-key" not in words + hint


def test_a_key_that_is_not_there_is_warned_about() -> None:
    [(code, words, _hint)] = said(ENCRYPTION_KEYS=["env:NOT_SET_HERE"])

    assert code == "automate.W004"
    assert "NOT_SET_HERE" in words


def test_a_good_key_is_not_spoken_of() -> None:
    assert said(ENCRYPTION_KEYS=["A" * 43 + "="]) == []


def test_a_client_that_is_pinned_to_no_issuer_is_warned_about() -> None:
    own(issuer="")

    [found] = checks.check_oauth(databases=["default"])

    assert found.id == "automate.W003"
    assert "'shop'" in found.msg


def test_a_clients_secret_in_the_database_is_warned_about() -> None:
    own()

    assert [each.id for each in checks.check_secrets(databases=["default"])] == ["automate.W002"]


def test_oauth_without_its_libraries_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    add_server(auth_type="oauth_user")
    add_server("bank")
    assert checks.check_oauth(databases=["default"]) == []
    monkeypatch.setattr(checks, "find_spec", lambda name: None)

    [found] = checks.check_oauth(databases=["default"])

    assert found.id == "automate.E009"
    assert "'shop' wants OAuth, and cryptography and jwt" in found.msg
