"""Ways to be authorized at a test's server."""

import itertools
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from automate_llm.mcp_client import MCPClient
from automate_llm.oauth import (
    Binding,
    Client,
    MemoryTokenStore,
    OAuthAuthenticator,
    OAuthConfig,
    Token,
    begin_authorization,
    complete_authorization,
)
from automate_llm.values import Connection
from tests.servers.oauth import OAuthServer

CALLBACK = "https://site.example/callback"
PERSON = OAuthConfig(grant="authorization_code", redirect_uri=CALLBACK)

_numbers = itertools.count()


def to(server: OAuthServer, **changes: Any) -> Connection:
    """A connection with a pool of its own; only the test's server may have a private address."""
    settings: dict[str, Any] = {
        "protocol": "rest",
        "timeout": 10.0,
        "private_hosts": frozenset({urlsplit(server.url).netloc}),
        **changes,
    }
    return Connection(f"oauth-{next(_numbers)}", settings.pop("url", server.url), **settings)


def client_of(
    server: OAuthServer,
    store: MemoryTokenStore,
    config: OAuthConfig = PERSON,
    **changes: Any,
) -> MCPClient:
    """A client whose calls are authorized from this store."""
    connection = to(server, **changes)
    authenticator = OAuthAuthenticator(connection, config, store)
    return MCPClient(replace(connection, authenticator=authenticator))


def token_of(server: OAuthServer, *, scope: str = "", **changes: Any) -> Token:
    """A token that a person got from the server before."""
    issued = server.issue(scope)
    binding = Binding(
        server.url,
        server.url,
        f"{server.issuer}/token",
        Client(server.issuer, "client-of-a-person"),
        f"{server.issuer}/revoke",
    )
    settings: dict[str, Any] = {
        "refresh_token": issued["refresh_token"],
        "scopes": tuple(scope.split()),
        **changes,
    }
    return Token(issued["access_token"], settings.pop("binding", binding), **settings)


def browse(address: str) -> dict[str, str]:
    """What the browser brings back to the callback."""
    answer = requests.get(address, allow_redirects=False, timeout=10)
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


def connected(server: OAuthServer, config: OAuthConfig = PERSON) -> Token:
    """The token of a person who went all the way."""
    connection = to(server)
    address, pending = begin_authorization(connection, config)
    return complete_authorization(connection, config, pending, browse(address))


def answered(server: OAuthServer, **changes: str | None) -> Token:
    """The token for what the browser brings back, with these changes; `None` takes a field out."""
    connection = to(server)
    address, pending = begin_authorization(connection, PERSON)
    answer = {**browse(address), **changes}
    given = {name: value for name, value in answer.items() if value is not None}
    return complete_authorization(connection, PERSON, pending, given)


def query_of(address: str) -> dict[str, str]:
    """The fields of an address."""
    return dict(parse_qsl(urlsplit(address).query))
