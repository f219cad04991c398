"""Tokens for real servers of each version, from an authorization server of our own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from automate_llm.exceptions import AuthorizationRequired
from automate_llm.mcp_client import MCPClient
from automate_llm.oauth import (
    MemoryTokenStore,
    OAuthAuthenticator,
    OAuthConfig,
    begin_authorization,
    complete_authorization,
)
from automate_llm.values import Connection
from tests.automate_llm.authorizing import PERSON, browse
from tests.servers.oauth import OAuthServer, Reply
from tests.servers.recording import Seen

from .installation import PeerMissing
from .peers import ALL, Peer
from .running import running

# These take tokens by their SDK's own means; the others stand behind a gate, since their releases
# could not do it without being authorization servers themselves.
OWN = ("sdk-2.3-http", "sdk-1.30-http", "sdk-1.30-sse", "sdk-1.10-http", "sdk-1.10-sse")
GATED = ("sdk-1.9-http", "sdk-1.6-sse")
BOUND = ("sdk-2.3-http", "sdk-1.30-http", "sdk-1.30-sse", "sdk-1.10-http", *GATED)

CLIENT = OAuthConfig(grant="client_credentials", client_id="site", client_secret="site-secret")
WORKLOAD = OAuthConfig(
    grant="jwt_bearer", client_id="site", assertion=lambda exchange, audience, resource: "a proof"
)


def peers(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("peer", [each for each in ALL if each.name in names], ids=str)


@pytest.fixture
def issuer() -> Iterator[OAuthServer]:
    with OAuthServer() as server:
        server.metadata["grant_types_supported"] = [
            "authorization_code",
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
        ]
        yield server


@contextmanager
def guarded(peer: Peer, issuer: OAuthServer, *, bound: bool = False) -> Iterator[Connection]:
    """A connection to the peer, which takes this authorization server's tokens only."""
    path = "/sse" if peer.transport == "sse" else f"/{peer.path}"

    def command() -> tuple[str, ...]:
        gate = ("--gate",) if bound or peer.name in GATED else ()
        more = (*gate, *(("--bound",) if bound else ()))
        return (*peer.command(), "--issuer", issuer.issuer, "--path", path, *more)

    try:
        with running(replace(peer, command=command)) as connection:
            version = peer.version if peer.transport == "http" else ""
            protocol: Any = "mcp" if peer.transport == "http" else "sse"
            yield replace(connection, protocol=protocol, protocol_version=version)
    except PeerMissing as exc:
        pytest.skip(str(exc))


def client_of(connection: Connection, config: OAuthConfig, store: MemoryTokenStore) -> MCPClient:
    authenticator = OAuthAuthenticator(connection, config, store)
    return MCPClient(replace(connection, authenticator=authenticator))


def connected(connection: Connection, client: MCPClient, store: MemoryTokenStore) -> None:
    """A person goes to the authorization server and comes back."""
    with pytest.raises(AuthorizationRequired) as refused:
        client.call("shout", {"text": "nobody"})
    address, pending = begin_authorization(connection, PERSON, challenge=refused.value.challenge)
    store.save(complete_authorization(connection, PERSON, pending, browse(address)))


@peers(*OWN, *GATED)
def test_a_person_connects_an_account(peer: Peer, issuer: OAuthServer) -> None:
    with guarded(peer, issuer) as connection:
        store = MemoryTokenStore(account="ann")
        client = client_of(connection, PERSON, store)
        connected(connection, client, store)

        assert client.call("shout", {"text": "hello"}).text == "HELLO"
    asked = issuer.to("/token")[0].body
    assert asked["resource"].startswith(connection.endpoint_url.rsplit("/", 1)[0])
    assert "code_verifier" in asked


@pytest.mark.parametrize("config", [CLIENT, WORKLOAD], ids=["credentials", "workload"])
@peers(*OWN, *GATED)
def test_the_site_gets_a_token_of_its_own(
    peer: Peer, config: OAuthConfig, issuer: OAuthServer
) -> None:
    if config.client_secret:
        issuer.clients[config.client_id] = config.client_secret
    with guarded(peer, issuer) as connection:
        config = replace(config, issuer=issuer.issuer)
        client = client_of(connection, config, MemoryTokenStore())
        answers = [client.call("shout", {"text": text}).text for text in ("one", "two")]

    assert answers == ["ONE", "TWO"]
    assert len(issuer.grants()) == 1


@peers(*BOUND)
def test_a_token_is_shown_with_the_proof_of_its_key(peer: Peer, issuer: OAuthServer) -> None:
    issuer.metadata["dpop_signing_alg_values_supported"] = ["ES256"]
    plain = issuer.routes["POST", "/token"]

    def bound(seen: Seen) -> Reply:
        reply = plain(seen)
        return replace(reply, body={**reply.body, "token_type": "DPoP"})

    issuer.routes["POST", "/token"] = bound
    with guarded(peer, issuer, bound=True) as connection:
        store = MemoryTokenStore(account="ann")
        client = client_of(connection, PERSON, store)
        connected(connection, client, store)

        assert client.call("shout", {"text": "hello"}).text == "HELLO"
    assert "dpop" in issuer.to("/token")[0].headers
