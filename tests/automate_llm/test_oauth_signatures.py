import hashlib
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from automate_llm.exceptions import (
    AuthorizationFailed,
    AuthorizationRequired,
    UnexpectedStatus,
)
from automate_llm.oauth import (
    Client,
    IdentityAssertion,
    MemoryTokenStore,
    OAuthConfig,
    begin_authorization,
    complete_authorization,
)
from automate_llm.oauth.signing import encoded, new_dpop_key
from tests.servers.oauth import Reply

from .authorizing import PERSON, browse, client_of, to, token_of

WORKLOAD = OAuthConfig(
    grant="jwt_bearer",
    client_id="workload",
    assertion=lambda exchange, audience, resource: f"assertion for {audience} at {resource}",
)


def pem_of(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


KEYS = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "RS256": rsa.generate_private_key(65_537, 2_048),
}


def machine(private_key, algorithm=""):
    return OAuthConfig(
        grant="client_credentials",
        client_id="machine",
        private_key=private_key,
        signing_algorithm=algorithm,
    )


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_private_key_proves_the_client(oauth_server, algorithm):
    key = KEYS[algorithm]
    oauth_server.metadata["token_endpoint_auth_methods_supported"] = ["private_key_jwt"]
    client = client_of(oauth_server, MemoryTokenStore(), machine(pem_of(key)))

    client.execute_tool("tool", {})

    form = oauth_server.to("/token")[0].body
    claims = jwt.decode(
        form["client_assertion"],
        key.public_key(),
        algorithms=[algorithm],
        audience=oauth_server.issuer,
    )
    assert (claims["iss"], claims["sub"]) == ("machine", "machine")
    assert claims["exp"] - claims["iat"] <= 300
    assert form["client_assertion_type"].endswith("jwt-bearer")
    assert "client_secret" not in form


@pytest.mark.parametrize(
    ("key", "algorithm"), [("no key", ""), (new_dpop_key(), "RS256"), (new_dpop_key(), "none")]
)
def test_a_key_that_cannot_sign_is_told_without_it(oauth_server, key, algorithm):
    client = client_of(oauth_server, MemoryTokenStore(), machine(key, algorithm))

    with pytest.raises(AuthorizationFailed, match="key") as caught:
        client.execute_tool("tool", {})
    assert key not in str(caught.value)
    assert not oauth_server.to("/token")


def test_a_workloads_identity_gets_a_token(oauth_server):
    client_of(oauth_server, MemoryTokenStore(), WORKLOAD).execute_tool("tool", {})

    form = oauth_server.to("/token")[0].body
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert form["assertion"] == f"assertion for {oauth_server.issuer} at {oauth_server.url}"


def test_a_refused_identity_is_not_tried_again_nor_another_way(oauth_server):
    oauth_server.routes["POST", "/token"] = lambda seen: Reply(400, {"error": "invalid_grant"})

    with pytest.raises(AuthorizationFailed, match="invalid_grant"):
        client_of(oauth_server, MemoryTokenStore(), WORKLOAD).execute_tool("tool", {})
    assert len(oauth_server.to("/token")) == 1


def test_an_identity_provider_vouches_for_a_person(oauth_server):
    config = _vouched(oauth_server, "urn:ietf:params:oauth:token-type:id-jag")

    client_of(oauth_server, MemoryTokenStore(), config).execute_tool("tool", {})

    asked = oauth_server.to("/provider")[0].body
    assert asked["subject_token"] == "the person's ID token"
    assert asked["audience"] == oauth_server.issuer
    assert oauth_server.to("/token")[0].body["assertion"] == "the assertion"


def test_an_identity_provider_that_gives_something_else_is_not_believed(oauth_server):
    config = _vouched(oauth_server, "urn:ietf:params:oauth:token-type:access_token")

    with pytest.raises(AuthorizationFailed, match="something else"):
        client_of(oauth_server, MemoryTokenStore(), config).execute_tool("tool", {})
    assert not oauth_server.to("/token")


def _vouched(server, kind):
    server.routes["POST", "/provider"] = lambda seen: Reply(
        200, {"access_token": "the assertion", "issued_token_type": kind, "token_type": "N_A"}
    )
    assertion = IdentityAssertion(
        to(server),
        f"{server.issuer}/provider",
        Client("idp", "ours"),
        lambda: "the person's ID token",
    )
    return replace(WORKLOAD, assertion=assertion)


@pytest.fixture
def bound_server(oauth_server):
    """A server that takes only tokens that are bound to a key, with a nonce from each side."""
    oauth_server.metadata["dpop_signing_alg_values_supported"] = ["ES256"]
    plain = oauth_server.routes["POST", "/token"]

    def token(seen):
        if _claims(seen).get("nonce") != "nonce-of-the-issuer":
            headers = {"DPoP-Nonce": "nonce-of-the-issuer"}
            return Reply(400, {"error": "use_dpop_nonce"}, headers)
        reply = plain(seen)
        return Reply(reply.status, {**reply.body, "token_type": "DPoP"})

    def execute(seen):
        if not seen.headers.get("authorization", "").startswith("DPoP "):
            return Reply(401, {}, {"WWW-Authenticate": "DPoP"})
        if _claims(seen).get("nonce") != "nonce-of-the-server":
            challenge = 'DPoP error="use_dpop_nonce"'
            headers = {"DPoP-Nonce": "nonce-of-the-server", "WWW-Authenticate": challenge}
            return Reply(401, {}, headers)
        return Reply(200, {"result": "done"})

    oauth_server.routes["POST", "/token"] = token
    oauth_server.routes["POST", "/api/execute"] = execute
    return oauth_server


def _claims(seen):
    proof = seen.headers.get("dpop", "")
    if not proof:
        return {}
    public = jwt.get_unverified_header(proof)["jwk"]
    return jwt.decode(proof, jwt.PyJWK(public), algorithms=["ES256"])


def test_a_bound_token_is_shown_with_a_fresh_proof_each_time(bound_server):
    store = MemoryTokenStore()
    client = client_of(bound_server, store)
    with pytest.raises(AuthorizationRequired) as caught:
        client.execute_tool("tool", {})
    store.save(_connected(bound_server, caught.value))

    client.execute_tool("tool", {})
    client.execute_tool("tool", {})

    proofs = [_claims(seen) for seen in bound_server.to("/api/execute")[1:]]
    token = store.get().access_token
    assert len({proof["jti"] for proof in proofs}) == 3
    assert {proof["htu"] for proof in proofs} == {f"{bound_server.url}/execute"}
    assert {proof["htm"] for proof in proofs} == {"POST"}
    assert {proof["ath"] for proof in proofs} == {encoded(hashlib.sha256(token.encode()).digest())}
    assert [proof.get("nonce") for proof in proofs] == [None, *["nonce-of-the-server"] * 2]
    assert {_key_of(seen) for seen in bound_server.to("/api/execute")[1:]} == {
        _key_of(bound_server.to("/token")[0])
    }


def test_a_nonce_that_never_fits_is_not_tried_for_ever(bound_server):
    bound_server.routes["POST", "/api/execute"] = lambda seen: Reply(
        401, {}, {"WWW-Authenticate": 'DPoP error="use_dpop_nonce"', "DPoP-Nonce": "always"}
    )
    store = MemoryTokenStore(token_of(bound_server))

    with pytest.raises(UnexpectedStatus, match="HTTP 401"):
        client_of(bound_server, store).execute_tool("tool", {})
    assert len(bound_server.to("/api/execute")) == 2


def _connected(server, required):
    connection = to(server)
    address, pending = begin_authorization(connection, PERSON, challenge=required.challenge)
    return complete_authorization(connection, PERSON, pending, browse(address))


def _key_of(seen):
    return jwt.get_unverified_header(seen.headers["dpop"])["jwk"]["x"]
