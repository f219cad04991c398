"""What is stored of OAuth, and who can read it."""

import json
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.management import CommandError, call_command
from django.test import override_settings

from automate.encryption import opened, sealed
from automate.models import MCPServer, OAuthToken
from automate_llm.exceptions import AuthorizationRequired, MCPClientError, SecretUnavailable
from automate_llm.oauth import Client
from tests.servers.oauth import OAuthServer

from .oauth_making import ACCOUNTS, add_oauth_server, browser_of, call, hold, person, row_of

VALUE = {"access_token": "very-secret"}
FIRST, SECOND = (Fernet.generate_key().decode() for _ in range(2))


def keys(*references: str) -> Any:
    return override_settings(AUTOMATE={"ENCRYPTION_KEYS": references})


def rotated() -> str:
    out = StringIO()
    call_command("rotate_oauth_keys", stdout=out, stderr=out)
    return out.getvalue()


@pytest.fixture
def held(db: None, oauth_peer: OAuthServer) -> tuple[MCPServer, Any]:
    """A server and a person with a token there, and a client that was registered."""
    server, user = add_oauth_server(oauth_peer), person()
    hold(oauth_peer, server, user)
    server.oauth_settings.keep_client(Client("https://as.example", "c", "registered-secret"))
    return server, user


def test_a_value_comes_back_and_shows_nothing() -> None:
    text = sealed(VALUE)

    assert opened(text) == VALUE
    assert "secret" not in text


def test_another_key_opens_nothing() -> None:
    text = sealed(VALUE)

    with override_settings(SECRET_KEY="another"):
        assert opened(text) is None


@pytest.mark.parametrize("text", ["", "rubbish", "gAAAAA==", "ü"])
def test_what_was_never_sealed_is_nothing(text: str) -> None:
    assert opened(text) is None


def test_a_site_key_that_was_replaced_still_opens() -> None:
    text = sealed(VALUE)

    with override_settings(SECRET_KEY="newer", SECRET_KEY_FALLBACKS=["only-for-tests"]):
        assert opened(text) == VALUE


def test_a_key_of_its_own_opens_what_the_sites_key_sealed_and_not_the_other_way() -> None:
    before = sealed(VALUE)
    with keys(FIRST):
        after = sealed(VALUE)
        assert (opened(before), opened(after)) == (VALUE, VALUE)

    assert opened(after) is None


def test_keys_are_read_by_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTH_KEY", FIRST)
    with keys("env:OAUTH_KEY"):
        text = sealed(VALUE)

    with keys(SECOND, FIRST):
        assert opened(text) == VALUE


def test_a_key_that_cannot_be_had_is_told_without_its_value() -> None:
    with keys("env:NOT_SET_HERE"), pytest.raises(SecretUnavailable, match="NOT_SET_HERE"):
        sealed(VALUE)
    with keys("short"), pytest.raises(MCPClientError) as caught:
        sealed(VALUE)
    assert "short" not in str(caught.value)


def test_a_rotation_lets_the_old_key_go(held: tuple[MCPServer, Any]) -> None:
    server, user = held
    with keys(FIRST):
        assert "2 encrypted under the newest key." in rotated()
    with keys(SECOND, FIRST):
        assert "2 encrypted under the newest key." in rotated()

    with keys(SECOND):
        assert row_of(server, user).token is not None
        client = MCPServer.objects.get().oauth_settings.registered_client()
    assert client is not None
    assert client.client_secret == "registered-secret"


def test_a_rotation_leaves_what_it_cannot_read_and_says_so(held: tuple[MCPServer, Any]) -> None:
    OAuthToken.objects.update(token_data="rubbish")

    said = rotated()

    assert "1 encrypted" in said
    assert "1 cannot be read by any key." in said
    assert OAuthToken.objects.get().token_data == "rubbish"


def test_a_rotation_without_its_key_fails_in_words(held: tuple[MCPServer, Any]) -> None:
    with keys("env:NOT_SET_HERE"), pytest.raises(CommandError, match="NOT_SET_HERE"):
        rotated()


@pytest.mark.parametrize("wrong", [{"SECRET_KEY": "another"}, {}])
def test_what_cannot_be_decrypted_reads_as_connect_again(
    held: tuple[MCPServer, Any], wrong: dict[str, str]
) -> None:
    server, user = held
    browser = browser_of(user)
    if not wrong:
        OAuthToken.objects.update(token_data=sealed({"an": "older form"}))

    with override_settings(**wrong):
        browser.force_login(user)
        page = browser.get(ACCOUNTS, secure=True)
        with pytest.raises(AuthorizationRequired, match="Connect your account of Shop first"):
            call(server, user)

    assert "cannot be read any more. Connect it again." in page.content.decode()


def test_a_key_that_is_missing_is_told_on_the_page(held: tuple[MCPServer, Any]) -> None:
    automate = {"ENCRYPTION_KEYS": ["env:NOT_SET_HERE"], "MCP_PRIVATE_HOSTS": ["127.0.0.1"]}
    browser = browser_of(held[1])

    with override_settings(AUTOMATE=automate):
        page = browser.get(ACCOUNTS, secure=True)

    assert "NOT_SET_HERE" in page.content.decode()


def test_no_token_shows_in_repr_text_or_export(
    held: tuple[MCPServer, Any], oauth_peer: OAuthServer
) -> None:
    row = OAuthToken.objects.get()

    shown = f"{row} {row!r} {row.token!r} {serializers.serialize('json', [row])}"

    assert json.loads(serializers.serialize("json", [row]))[0]["fields"]["user"] == held[1].pk
    assert not any(token in shown for token in (*oauth_peer.tokens, *oauth_peer.refresh_tokens))
