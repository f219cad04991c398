"""Rows of servers: how each is reached, and what its row may hold."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.test import override_settings

from automate.conf import conf
from automate.models import MCPServer
from automate.secrets import is_raw_secret, masked_secret, resolve_secret
from automate.validators import (
    validate_endpoint_url,
    validate_header_name,
    validate_secret_reference,
)
from automate_llm.exceptions import SecretUnavailable

from .making import add_server


def a_server(**fields: object) -> MCPServer:
    return MCPServer(name="Shop", slug="shop", endpoint_url="https://shop.example/mcp", **fields)


def test_a_server_without_credential_sends_no_header_of_its_own() -> None:
    assert a_server().connection().headers == {}


def test_a_bearer_token_stands_in_the_authorization_header() -> None:
    connection = a_server(auth_type="bearer", auth_secret_ref="t0ken").connection()

    assert connection.headers == {"Authorization": "Bearer t0ken"}


def test_an_api_key_stands_in_the_header_that_was_chosen() -> None:
    usual = a_server(auth_type="api_key", auth_secret_ref="k")
    other = a_server(auth_type="api_key", auth_secret_ref="k", auth_header="X-Shop")

    assert usual.connection().headers == {"X-API-Key": "k"}
    assert other.connection().headers == {"X-Shop": "k"}


def test_a_server_s_own_time_limit_goes_before_the_site_s() -> None:
    with override_settings(AUTOMATE={"MCP_TIMEOUT": 7}):
        assert a_server().connection().timeout == 7
        assert a_server(timeout=2.5).connection().timeout == 2.5


@pytest.mark.parametrize(
    ("chosen", "settled", "used"),
    [("auto", "", "auto"), ("auto", "rest", "rest"), ("mcp", "rest", "mcp"), ("rest", "", "rest")],
)
def test_the_protocol_is_the_chosen_one_or_else_the_settled(
    chosen: str, settled: str, used: str
) -> None:
    server = a_server(protocol=chosen, settled_protocol=settled)

    assert server.connection().protocol == used


def test_private_hosts_are_those_of_the_setting_or_all_in_debug() -> None:
    with override_settings(AUTOMATE={"MCP_PRIVATE_HOSTS": ["a:1", "[::1]:8080"]}):
        assert a_server().connection().private_hosts == {"a:1", "::1:8080"}
        with override_settings(DEBUG=True):
            assert a_server().connection().private_hosts is None


def test_an_unknown_setting_is_refused_by_name() -> None:
    with (
        override_settings(AUTOMATE={"MCP_TIMOUT": 1}),
        pytest.raises(ImproperlyConfigured, match="'MCP_TIMOUT'"),
    ):
        conf()


@pytest.mark.django_db
def test_tools_are_counted_by_what_can_be_done_with_them() -> None:
    server = add_server()
    for name, fields in {
        "ready": {},
        "off": {"enabled": False},
        "new": {"review": "new", "enabled": False},
        "broken": {"input_schema": {"type": "array"}},
        "gone": {"available": False},
    }.items():
        server.tools.create(name=name, **fields)

    counted = MCPServer.objects.with_tool_counts().get()

    assert (counted.tool_count, counted.usable_count, counted.review_count) == (4, 1, 1)


@pytest.mark.django_db
def test_a_failure_is_kept_in_at_most_500_characters() -> None:
    server = add_server()

    server.mark_failed("x" * 600)

    assert MCPServer.objects.get().last_error == "x" * 500


def test_a_secret_is_read_from_the_environment_a_file_or_the_reference_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "from-env")
    (tmp_path / "token").write_bytes(b"from-file\r\n")

    assert resolve_secret("env:SHOP_TOKEN") == "from-env"
    assert resolve_secret(f"file:{tmp_path / 'token'}") == "from-file"
    assert resolve_secret("itself") == "itself"


@pytest.mark.parametrize("value", ["", "  ", "two\nlines", "nul\0", "umläut"])
def test_a_secret_that_no_header_can_carry_is_refused_and_not_quoted(
    tmp_path: Path, value: str
) -> None:
    (tmp_path / "token").write_text(value)

    with pytest.raises(SecretUnavailable) as caught:
        resolve_secret(f"file:{tmp_path / 'token'}")

    assert "token" in str(caught.value)
    assert not value.strip() or value not in str(caught.value)


@pytest.mark.parametrize("reference", ["env:NOT_SET_HERE", "file:/nowhere/at/all"])
def test_a_missing_secret_is_named(reference: str) -> None:
    with pytest.raises(SecretUnavailable, match=reference.partition(":")[2]):
        resolve_secret(reference)


def test_a_raw_secret_is_shown_as_dots_and_a_reference_as_it_is() -> None:
    assert masked_secret("env:SHOP_TOKEN") == "env:SHOP_TOKEN"
    assert masked_secret("file:/run/token") == "file:/run/token"
    assert set(masked_secret("s3cret")) == {"•"}
    assert [is_raw_secret(each) for each in ("", "env:A", "s3cret")] == [False, False, True]


@pytest.mark.parametrize(
    "url", ["https://shop.example/mcp", "http://127.0.0.1:8000", "http://[::1]:80/mcp?tenant=1"]
)
def test_an_address_of_http_or_https_is_taken(url: str) -> None:
    validate_endpoint_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://shop.example",
        "shop.example/mcp",
        "https://",
        "https://me:secret@shop.example",
        "https://shop.example/#part",
        "https://shop.example/a b",
        "https://shop.example/\nx",
        "https://shöp.example",
        "https://shop.example:99999",
        "http://[::1",
    ],
)
def test_any_other_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        validate_endpoint_url(url)


@pytest.mark.parametrize("name", ["", "X Key", "X:Key", "Host", "mcp-session-id", "Content-Type"])
def test_a_header_that_is_no_name_or_not_free_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        validate_header_name(name)


@pytest.mark.parametrize("reference", ["env:", "file: ", "env:\0"])
def test_a_reference_without_a_name_is_refused(reference: str) -> None:
    with pytest.raises(ValidationError):
        validate_secret_reference(reference)


@pytest.mark.parametrize("reference", ["Bearer abc", "two\nlines", "umläut"])
def test_a_secret_that_cannot_work_is_refused_and_not_quoted(reference: str) -> None:
    with pytest.raises(ValidationError) as caught:
        validate_secret_reference(reference)

    assert reference not in str(caught.value)


@pytest.mark.parametrize("reference", ["env:SHOP_TOKEN", "file:/run/tökens/shop", "abc:def"])
def test_a_secret_or_a_reference_to_one_is_taken(reference: str) -> None:
    validate_secret_reference(reference)
