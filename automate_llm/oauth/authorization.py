"""A person connects an account: off to the authorization server, and back with a code.

Source: MCP 2026-07-28, basic/authorization; OAuth 2.1, section 4.1; RFC 7636; RFC 9207.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from automate_llm.cancellation import Cancellation
from automate_llm.exceptions import AuthorizationFailed
from automate_llm.exchange import Exchange
from automate_llm.values import Connection

from .addresses import is_https, is_loopback
from .clients import client_for
from .discovery import discovered
from .failures import refused_by_person
from .signing import DPOP_ALGORITHM, encoded, new_dpop_key
from .tokens import ended_token, token_for_code
from .values import (
    PENDING_SECONDS,
    Binding,
    Challenge,
    Client,
    OAuthConfig,
    Pending,
    ResourceMetadata,
    ServerMetadata,
    Token,
)

OFFLINE_ACCESS = "offline_access"
_MAX_CODE_CHARACTERS = 4_096


def begin_authorization(
    connection: Connection,
    config: OAuthConfig,
    *,
    challenge: Challenge | None = None,
    token: Token | None = None,
    client: Client | None = None,
    cancellation: Cancellation | None = None,
) -> tuple[str, Pending]:
    """The address to send the person to, and what to keep until they are back.

    `challenge` is what the server's refusal asked for (`AuthorizationRequired.challenge`),
    `token` the one that this person has already, `client` one that was registered before (see
    `Pending.binding`): it is used where it still fits.

    Raises:
        AuthorizationFailed: the server or its authorization server is not as it should be.
        MCPClientError: one of them could not be reached.
    """
    if not is_https(config.redirect_uri) and not is_loopback(config.redirect_uri):
        raise AuthorizationFailed(
            "The address where people come back to this site (redirect URI) must be https."
        )
    exchange = Exchange(connection.timeout, cancellation)
    challenge = challenge or Challenge()
    known = client or (token.binding.client if token is not None else None)
    bound = known.issuer if known is not None and known.client_id == config.client_id else ""
    resource, metadata = discovered(connection, exchange, config, challenge, bound)
    if "S256" not in metadata.code_challenge_methods:
        raise AuthorizationFailed(
            f"The authorization server {metadata.issuer!r} does not say that it holds codes to "
            "their challenge (PKCE with S256); it is not used."
        )
    if not metadata.authorization_endpoint:
        raise AuthorizationFailed(
            f"The authorization server {metadata.issuer!r} has no page where people authorize."
        )
    binding = Binding(
        server_url=connection.endpoint_url,
        resource=resource.resource,
        token_endpoint=metadata.token_endpoint,
        client=client_for(connection, exchange, config, metadata, known),
        revocation_endpoint=metadata.revocation_endpoint,
        dpop_key=dpop_key_for(challenge, resource, metadata),
    )
    pending = Pending(
        state=secrets.token_urlsafe(32),
        code_verifier=secrets.token_urlsafe(48),
        binding=binding,
        redirect_uri=config.redirect_uri,
        scopes=wanted_scopes(config, challenge, resource, metadata, token),
        names_issuer=metadata.names_itself_in_responses,
        begun_at=time.time(),
    )
    return _url(metadata.authorization_endpoint, pending), pending


def complete_authorization(
    connection: Connection,
    config: OAuthConfig,
    pending: Pending,
    parameters: Mapping[str, str],
    *,
    cancellation: Cancellation | None = None,
) -> Token:
    """The token for the code in a callback's parameters; save it in the person's store.

    Raises:
        AuthorizationFailed: the callback does not belong to what was begun, the person or the
            authorization server said no, or the answer is broken.
        MCPClientError: the authorization server could not be reached.
    """
    code = _checked_code(connection, pending, parameters)
    return token_for_code(
        connection, Exchange(connection.timeout, cancellation), config, pending, code
    )


def revoke(
    connection: Connection,
    config: OAuthConfig,
    token: Token,
    *,
    cancellation: Cancellation | None = None,
) -> bool:
    """Ask the authorization server to end a token; false where it has no way to. Source: RFC 7009.

    Raises:
        AuthorizationFailed: it refused, or its answer is broken.
        MCPClientError: it could not be reached.
    """
    return ended_token(connection, Exchange(connection.timeout, cancellation), config, token)


def wanted_scopes(
    config: OAuthConfig,
    challenge: Challenge,
    resource: ResourceMetadata,
    metadata: ServerMetadata,
    token: Token | None,
) -> tuple[str, ...]:
    """What to ask for: what the refusal demands, else what is configured, else what the server
    says it has; and what was asked for before, so that nothing is lost.

    Source: MCP 2026-07-28, basic/authorization, "Scope Selection Strategy", "Refresh Tokens".
    """
    scopes = challenge.scopes or config.scopes or resource.scopes_supported or ()
    if token is not None and token.binding.client.issuer == metadata.issuer:
        scopes = token.scopes + scopes
    if config.grant == "authorization_code" and OFFLINE_ACCESS in metadata.scopes_supported:
        scopes = (*scopes, OFFLINE_ACCESS)
    return tuple(dict.fromkeys(scopes))


def dpop_key_for(challenge: Challenge, resource: ResourceMetadata, metadata: ServerMetadata) -> str:
    """A new key where the MCP server takes bound tokens and the authorization server gives them."""
    wanted = challenge.dpop or resource.dpop
    return new_dpop_key() if wanted and DPOP_ALGORITHM in metadata.dpop_algorithms else ""


def _url(endpoint: str, pending: Pending) -> str:
    query = {
        "response_type": "code",
        "client_id": pending.binding.client.client_id,
        "redirect_uri": pending.redirect_uri,
        "state": pending.state,
        "code_challenge": encoded(hashlib.sha256(pending.code_verifier.encode()).digest()),
        "code_challenge_method": "S256",
        "resource": pending.binding.resource,
    }
    if pending.scopes:
        query["scope"] = " ".join(pending.scopes)
    if OFFLINE_ACCESS in pending.scopes:
        query["prompt"] = "consent"  # else it is passed over (OpenID Connect Core, 11)
    parts = urlsplit(endpoint)
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in query]
    return urlunsplit(parts._replace(query=urlencode([*kept, *query.items()])))


def _checked_code(connection: Connection, pending: Pending, parameters: Mapping[str, str]) -> str:
    state, issuer = parameters.get("state", ""), parameters.get("iss")
    expected = pending.binding.client.issuer
    if pending.binding.server_url != connection.endpoint_url:
        raise AuthorizationFailed("The server's address has changed meanwhile; begin again.")
    if not hmac.compare_digest(state.encode(), pending.state.encode()):
        raise AuthorizationFailed("This answer does not belong to what was begun; begin again.")
    if pending.begun_at + PENDING_SECONDS < time.time():
        raise AuthorizationFailed("The authorization took too long; begin again.")
    if issuer is None and pending.names_issuer:
        raise AuthorizationFailed(
            f"The answer does not say which authorization server it comes from; {expected!r} "
            "says that its own do. It is not used."
        )
    if issuer is not None and issuer != expected:
        raise AuthorizationFailed(
            f"The answer comes from another authorization server than {expected!r}, to which "
            "the request went. It is not used."
        )
    if "error" in parameters:
        raise refused_by_person(parameters["error"], f"{expected!r} gave no authorization")
    code = parameters.get("code", "")
    if not code or len(code) > _MAX_CODE_CHARACTERS:
        raise AuthorizationFailed("The answer has no authorization code; begin again.")
    return code
