from dataclasses import replace

import pytest

from automate_llm.exceptions import (
    AddressRefused,
    AuthorizationFailed,
    LimitExceeded,
    MCPClientError,
)
from automate_llm.exchange import Exchange
from automate_llm.oauth import Challenge, OAuthConfig, begin_authorization
from automate_llm.oauth.addresses import canonical, checked, covers, same_issuer
from automate_llm.oauth.challenges import challenge_in
from automate_llm.oauth.discovery import resource_metadata, well_known_urls
from automate_llm.values import Connection
from tests.servers.oauth import OAuthServer, Reply

from .authorizing import PERSON, to

RESOURCE = "/.well-known/oauth-protected-resource"


def begin(server: OAuthServer, config: OAuthConfig = PERSON, **options: object) -> object:
    return begin_authorization(to(server), config, **options)


def asked(server: OAuthServer) -> list[str]:
    return [each.path for each in server.requests if each.method == "GET"]


def test_the_metadata_of_the_servers_path_is_asked_before_that_of_the_root(oauth_server):
    route = oauth_server.routes.pop(("GET", f"{RESOURCE}/api"))
    oauth_server.routes["GET", RESOURCE] = route

    begin(oauth_server)

    assert asked(oauth_server)[:2] == [f"{RESOURCE}/api", RESOURCE]


def test_the_address_in_the_challenge_comes_first(oauth_server):
    route = oauth_server.routes.pop(("GET", f"{RESOURCE}/api"))
    oauth_server.routes["GET", "/elsewhere.json"] = route

    begin(
        oauth_server,
        challenge=Challenge(resource_metadata=f"{oauth_server.issuer}/elsewhere.json"),
    )

    assert asked(oauth_server)[0] == "/elsewhere.json"


@pytest.mark.parametrize(
    ("issuer", "urls"),
    [
        (
            "https://a.example",
            [
                "https://a.example/.well-known/oauth-authorization-server",
                "https://a.example/.well-known/openid-configuration",
            ],
        ),
        (
            "https://a.example/tenant/",
            [
                "https://a.example/.well-known/oauth-authorization-server/tenant",
                "https://a.example/.well-known/openid-configuration/tenant",
                "https://a.example/tenant/.well-known/openid-configuration",
            ],
        ),
    ],
)
def test_metadata_is_looked_for_in_the_specified_order(issuer, urls):
    assert list(well_known_urls(issuer)) == urls


def test_openid_metadata_does_where_there_is_no_other(oauth_server):
    route = oauth_server.routes.pop(("GET", "/.well-known/oauth-authorization-server"))
    oauth_server.routes["GET", "/.well-known/openid-configuration"] = route

    address, _ = begin(oauth_server)

    assert address.startswith(f"{oauth_server.issuer}/authorize?")


@pytest.mark.parametrize("change", ["//", "/tenant", ".example"])
def test_metadata_under_another_issuers_name_is_not_used(oauth_server, change):
    oauth_server.metadata["issuer"] = oauth_server.issuer + change

    with pytest.raises(AuthorizationFailed, match="another name"):
        begin(oauth_server)
    assert not oauth_server.to("/register")


@pytest.mark.parametrize("named_with", ["", "/"])
@pytest.mark.parametrize("calls_itself_with", ["", "/"])
@pytest.mark.parametrize("configured_with", ["", "/", None])
def test_a_slash_alone_makes_no_other_authorization_server(
    oauth_server, named_with, calls_itself_with, configured_with
):
    oauth_server.resource_metadata["authorization_servers"] = [oauth_server.issuer + named_with]
    oauth_server.metadata["issuer"] = oauth_server.issuer + calls_itself_with
    issuer = "" if configured_with is None else oauth_server.issuer + configured_with
    _, pending = begin(oauth_server, replace(PERSON, issuer=issuer))

    assert pending.binding.client.issuer == oauth_server.issuer + calls_itself_with


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example", "https://a.example/", True),
        ("https://a.example:8443/", "https://a.example:8443", True),
        ("https://a.example/tenant", "https://a.example/tenant/", False),
        ("https://a.example", "https://b.example/", False),
        ("https://a.example", "http://a.example/", False),
        ("", "/", False),
        ("https://", "https:///", False),
    ],
)
def test_issuers_are_compared_letter_by_letter_but_for_the_root(one, other, same):
    assert same_issuer(one, other) is same


@pytest.mark.parametrize("resource", ["https://evil.example/api", "{origin}/ap", "", None, 7])
def test_metadata_about_another_server_is_not_used(oauth_server, resource):
    if isinstance(resource, str):
        resource = resource.format(origin=oauth_server.issuer)
    oauth_server.resource_metadata["resource"] = resource

    with pytest.raises(AuthorizationFailed, match="another server"):
        begin(oauth_server)
    assert not oauth_server.to("/.well-known/oauth-authorization-server")


@pytest.mark.parametrize("methods", [None, [], ["plain"], "S256"])
def test_an_authorization_server_without_s256_is_not_used(oauth_server, methods):
    oauth_server.metadata["code_challenge_methods_supported"] = methods

    with pytest.raises(AuthorizationFailed, match="S256"):
        begin(oauth_server)
    assert not oauth_server.to("/register")


@pytest.mark.parametrize(
    "address",
    [
        "http://as.example/token",
        "https://as.example@evil.example/token",
        "https://as.example/token#part",
        "https://as.example\\@evil.example/token",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https:///token",
        "https://as.example/\r\nX: y",
        "https://as.example/" + "a" * 3_000,
        "//as.example/token",
        7,
        None,
    ],
)
def test_an_endpoint_that_is_no_plain_https_address_is_not_used(oauth_server, address):
    oauth_server.metadata["token_endpoint"] = address

    with pytest.raises(AuthorizationFailed, match="token_endpoint"):
        begin(oauth_server)


@pytest.mark.parametrize(
    "issuer",
    ["https://10.0.0.1", "https://127.0.0.1:1", "https://169.254.169.254", "https://[::1]"],
)
def test_a_private_authorization_server_is_refused_by_the_door(oauth_server, issuer):
    oauth_server.resource_metadata["authorization_servers"] = [issuer]

    with pytest.raises(AddressRefused):
        begin(oauth_server)


def test_a_private_metadata_address_in_a_challenge_is_refused_by_the_door(oauth_server):
    challenge = Challenge(resource_metadata="https://169.254.169.254/latest")

    with pytest.raises(AddressRefused):
        begin(oauth_server, challenge=challenge)


def test_a_redirect_of_metadata_is_not_followed(oauth_server):
    elsewhere = {"Location": f"{oauth_server.issuer}/elsewhere"}
    oauth_server.routes["GET", "/.well-known/oauth-authorization-server"] = lambda seen: Reply(
        302, {}, elsewhere
    )

    with pytest.raises(AuthorizationFailed, match="publishes no metadata"):
        begin(oauth_server)
    assert not oauth_server.to("/elsewhere")


def test_endless_metadata_is_cut(oauth_server):
    oauth_server.metadata["padding"] = "x" * 300_000

    with pytest.raises(LimitExceeded):
        begin(oauth_server)


def test_a_server_without_resource_metadata_is_its_own_authorization_server(oauth_server):
    del oauth_server.routes["GET", f"{RESOURCE}/api"]

    _, pending = begin(oauth_server)

    assert pending.binding.client.issuer == oauth_server.issuer
    assert pending.binding.resource == oauth_server.url


def test_a_server_without_any_metadata_has_the_paths_of_2025_03_26(oauth_server):
    del oauth_server.routes["GET", f"{RESOURCE}/api"]
    del oauth_server.routes["GET", "/.well-known/oauth-authorization-server"]

    address, pending = begin(oauth_server)

    assert address.startswith(f"{oauth_server.issuer}/authorize?")
    assert pending.binding.token_endpoint == f"{oauth_server.issuer}/token"
    assert len(oauth_server.to("/register")) == 1


def test_no_credential_of_the_server_goes_to_its_authorization_server(oauth_server):
    connection = to(oauth_server, headers={"X-API-Key": "the-server's-own-key"})

    begin_authorization(connection, PERSON)

    assert oauth_server.requests
    assert not [seen for seen in oauth_server.requests if "x-api-key" in seen.headers]


def test_a_metadata_document_that_is_html_counts_as_none(oauth_server):
    oauth_server.routes["GET", f"{RESOURCE}/api"] = lambda seen: Reply(200, "<html>Welcome")

    found = resource_metadata(to(oauth_server), Exchange(5), Challenge())

    assert found is None


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        ("", Challenge()),
        ("Bearer", Challenge()),
        ('Bearer scope="a b  a"', Challenge(scopes=("a", "b"))),
        ("bearer scope=a, error=invalid_token", Challenge(scopes=("a",), error="invalid_token")),
        (
            'Basic realm="scope=\\"x\\"", Bearer resource_metadata="https://a.example/m"',
            Challenge(resource_metadata="https://a.example/m"),
        ),
        ('DPoP error="use_dpop_nonce"', Challenge(error="use_dpop_nonce", dpop=True)),
        ('Bearer error="a\\"b", scope="ok"', Challenge(scopes=("ok",), error='a"b')),
        ('Bearer scope="unterminated', Challenge()),
        ("Negotiate scope=no", Challenge()),
        ('Bearer scope="é \x07 fine"', Challenge(scopes=("fine",))),
    ],
)
def test_a_challenge_is_read_as_it_was_meant(header, challenge):
    assert challenge_in(header) == challenge


def test_a_hostile_challenge_costs_little():
    challenge = challenge_in('Bearer scope="' + "a " * 1_000_000)

    assert len(challenge.scopes) <= 100


@pytest.mark.parametrize(
    ("resource", "server", "does"),
    [
        ("https://a.example/mcp", "https://a.example/mcp", True),
        ("https://A.example:443/mcp/", "https://a.example/mcp", True),
        ("https://a.example", "https://a.example/mcp", True),
        ("https://a.example/mc", "https://a.example/mcp", False),
        ("https://a.example/mcp/other", "https://a.example/mcp", False),
        ("http://a.example/mcp", "https://a.example/mcp", False),
        ("https://a.example:444/mcp", "https://a.example/mcp", False),
        ("https://user@a.example/mcp", "https://a.example/mcp", False),
        ("https://a.example/mcp#x", "https://a.example/mcp", False),
        ("nonsense", "https://a.example/mcp", False),
    ],
)
def test_a_resource_covers_its_own_server_only(resource, server, does):
    assert covers(resource, server) is does


@pytest.mark.parametrize(
    ("url", "identifier"),
    [
        ("https://A.example/", "https://a.example"),
        ("https://a.example/mcp", "https://a.example/mcp"),
        ("https://a.example/mcp?tenant=1#x", "https://a.example/mcp?tenant=1"),
    ],
)
def test_a_servers_identifier_is_canonical(url, identifier):
    assert canonical(url) == identifier


def test_loopback_may_speak_http_where_every_private_address_is_allowed():
    anything = Connection("a", "https://a.example", private_hosts=None)

    assert checked("http://localhost:9/x", anything, "It") == "http://localhost:9/x"
    with pytest.raises(MCPClientError):
        checked("http://as.example/x", anything, "It")
