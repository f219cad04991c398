"""Requests to a token endpoint: each grant, the renewal, and the end of a token.

Source: RFC 6749, sections 4 to 6; RFC 7009; RFC 7523; RFC 8707; RFC 9449, sections 5 and 8.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from automate_llm.exceptions import AuthorizationFailed
from automate_llm.exchange import Exchange
from automate_llm.values import Connection

from .challenges import scopes_in
from .clients import proof_of
from .documents import Document, post_form, text
from .failures import refusal
from .signing import dpop_proof
from .values import Binding, OAuthConfig, Pending, Token

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_MAX_TOKEN_CHARACTERS = 32 * 1024
_LONGEST_SECONDS = 10 * 365 * 86_400


def token_for_code(
    connection: Connection, exchange: Exchange, config: OAuthConfig, pending: Pending, code: str
) -> Token:
    """The token that an authorization code stands for.

    Raises:
        AuthorizationFailed: the authorization server refused, or its answer is broken.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": pending.redirect_uri,
        "code_verifier": pending.code_verifier,
    }
    return _token(connection, exchange, config, pending.binding, form, pending.scopes)


def token_for_ourselves(
    connection: Connection,
    exchange: Exchange,
    config: OAuthConfig,
    binding: Binding,
    scopes: tuple[str, ...],
) -> Token:
    """A token for the site itself: by its client's credentials, or by an assertion.

    Raises:
        AuthorizationFailed: the authorization server refused, or its answer is broken.
    """
    form = {"grant_type": "client_credentials"}
    if config.grant == "jwt_bearer":
        if config.assertion is None:
            raise AuthorizationFailed("No assertion is configured that could prove this site.")
        assertion = config.assertion(exchange, binding.client.issuer, binding.resource)
        form = {"grant_type": _JWT_BEARER, "assertion": assertion}
    if scopes:
        form["scope"] = " ".join(scopes)
    return _token(connection, exchange, config, binding, form, scopes)


def renewed_token(
    connection: Connection, exchange: Exchange, config: OAuthConfig, token: Token
) -> Token:
    """A new access token for the refresh token; where that is replaced, so it is here.

    Raises:
        AuthorizationFailed: with the code `invalid_grant` where the refresh token has ended.
    """
    form = {"grant_type": "refresh_token", "refresh_token": token.refresh_token}
    new = _token(connection, exchange, config, token.binding, form, token.scopes)
    return new if new.refresh_token else replace(new, refresh_token=token.refresh_token)


def ended_token(
    connection: Connection, exchange: Exchange, config: OAuthConfig, token: Token
) -> bool:
    """Ask the authorization server to end the token; false where it has no way to.

    Raises:
        AuthorizationFailed: it refused, or its answer is broken.
    """
    binding = token.binding
    if not binding.revocation_endpoint:
        return False
    form = {"token": token.access_token, "token_type_hint": "access_token"}
    if token.refresh_token:  # its end is the end of the access tokens too (RFC 7009, 2.1)
        form = {"token": token.refresh_token, "token_type_hint": "refresh_token"}
    headers, fields = proof_of(binding.client, config)
    complete = {**form, **fields}
    document = post_form(connection, exchange, binding.revocation_endpoint, complete, headers)
    if document.status_code != 200:
        raise refusal(document, f"{binding.client.issuer!r} did not end the token")
    return True


def _token(
    connection: Connection,
    exchange: Exchange,
    config: OAuthConfig,
    binding: Binding,
    form: Mapping[str, str],
    scopes: tuple[str, ...],
) -> Token:
    asked_at = time.time()
    document = _posted(connection, exchange, config, binding, form, "")
    nonce = document.headers.get("DPoP-Nonce", "")
    if binding.dpop_key and nonce and _error(document) == "use_dpop_nonce":
        document = _posted(connection, exchange, config, binding, form, nonce)
    content = document.content
    if document.status_code != 200 or content is None or not content.get("access_token"):
        raise refusal(document, f"{binding.client.issuer!r} gave no token")
    granted = scopes_in(text(content.get("scope")))
    return Token(
        access_token=_opaque(content.get("access_token")),
        binding=binding,
        token_type=_type(content.get("token_type"), binding),
        refresh_token=_opaque(content.get("refresh_token")),
        expires_at=_end(content.get("expires_in"), asked_at),
        scopes=tuple(dict.fromkeys(scopes + granted)),
    )


def _posted(
    connection: Connection,
    exchange: Exchange,
    config: OAuthConfig,
    binding: Binding,
    form: Mapping[str, str],
    nonce: str,
) -> Document:
    url = binding.token_endpoint
    headers, fields = proof_of(binding.client, config)
    if binding.dpop_key:
        proof = dpop_proof(binding.dpop_key, "POST", url, nonce=nonce, access_token="")
        headers = {**headers, "DPoP": proof}
    complete = {**form, "resource": binding.resource, **fields}
    return post_form(connection, exchange, url, complete, headers)


def _error(document: Document) -> str:
    return text((document.content or {}).get("error")) if document.status_code >= 400 else ""


def _opaque(value: object) -> str:
    """A token as it came; what could be none is none."""
    return value if isinstance(value, str) and len(value) <= _MAX_TOKEN_CHARACTERS else ""


def _type(value: Any, binding: Binding) -> Literal["Bearer", "DPoP"]:
    match text(value).lower():
        case "bearer":
            return "Bearer"
        case "dpop" if binding.dpop_key:
            return "DPoP"
    raise AuthorizationFailed(
        f"{binding.client.issuer!r} gave a token of a type that this site cannot use."
    )


def _end(seconds: object, asked_at: float) -> float | None:
    if isinstance(seconds, str) and seconds.isdecimal() and len(seconds) < 12:
        seconds = int(seconds)
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return None
    return asked_at + min(max(seconds, 0), _LONGEST_SECONDS)
