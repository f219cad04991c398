"""Who we are to an authorization server, and how we prove it.

Source: MCP 2026-07-28, basic/authorization/client-registration; RFC 7591; RFC 6749, 2.3.
"""

import base64
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from automate_llm.exceptions import AuthorizationFailed
from automate_llm.exchange import Exchange
from automate_llm.values import Connection

from .addresses import is_https, is_loopback
from .documents import post_json, text
from .failures import refusal
from .signing import client_assertion
from .values import Client, ClientAuthentication, OAuthConfig, ServerMetadata

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def client_for(
    connection: Connection,
    exchange: Exchange,
    config: OAuthConfig,
    metadata: ServerMetadata,
    known: Client | None,
) -> Client:
    """The client to be: registered beforehand, else by metadata document, else registered now.

    `known` is a client that was registered before; it is used only at its own issuer.

    Raises:
        AuthorizationFailed: none of the ways is open, or the server refused the registration.
    """
    if config.client_id:
        return configured_client(config, metadata)
    if metadata.takes_metadata_documents and _is_document(config.client_metadata_url):
        return Client(metadata.issuer, config.client_metadata_url)
    if known is not None and _still_good(known, config, metadata):
        return known
    if metadata.registration_endpoint and config.grant == "authorization_code":
        return _registered(connection, exchange, config, metadata)
    raise AuthorizationFailed(
        f"The authorization server {metadata.issuer!r} registers no clients by itself: register "
        "one there and enter its client id."
    )


def configured_client(config: OAuthConfig, metadata: ServerMetadata) -> Client:
    """The client that was registered beforehand, with the way to prove it."""
    return Client(
        metadata.issuer,
        config.client_id,
        config.client_secret,
        config.client_authentication
        or _way(metadata, bool(config.client_secret), bool(config.private_key)),
    )


def client_metadata(config: OAuthConfig) -> dict[str, Any]:
    """What we say of ourselves in a registration or a metadata document."""
    return {
        "client_name": config.client_name,
        "redirect_uris": [config.redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "application_type": "native" if is_loopback(config.redirect_uri) else "web",
    }


def client_metadata_document(config: OAuthConfig) -> dict[str, Any]:
    """The document to serve at `config.client_metadata_url`.

    Source: draft-ietf-oauth-client-id-metadata-document-00, section 4.
    """
    return {
        "client_id": config.client_metadata_url,
        **client_metadata(config),
        "token_endpoint_auth_method": "none",
    }


def proof_of(client: Client, config: OAuthConfig) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The header and the form fields by which the client proves itself."""
    match client.authentication:
        case "client_secret_basic":
            pair = f"{quote(client.client_id, safe='')}:{quote(client.client_secret, safe='')}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, {}
        case "client_secret_post":
            return {}, {"client_id": client.client_id, "client_secret": client.client_secret}
        case "private_key_jwt":
            assertion = client_assertion(
                client.client_id, client.issuer, config.private_key, config.signing_algorithm
            )
            return {}, {
                "client_id": client.client_id,
                "client_assertion_type": _ASSERTION_TYPE,
                "client_assertion": assertion,
            }
        case "none":
            return {}, {"client_id": client.client_id}


def _registered(
    connection: Connection, exchange: Exchange, config: OAuthConfig, metadata: ServerMetadata
) -> Client:
    asked = client_metadata(config)
    if metadata.grant_types is not None and "refresh_token" not in metadata.grant_types:
        asked["grant_types"] = ["authorization_code"]
    asked["token_endpoint_auth_method"] = _way(metadata, has_secret=True, has_key=False)
    document = post_json(connection, exchange, metadata.registration_endpoint, asked)
    content = document.content or {}
    client_id, secret = text(content.get("client_id")), text(content.get("client_secret"))
    if document.status_code not in (200, 201) or not client_id:
        raise refusal(document, f"{metadata.issuer!r} did not register this site as a client")
    given = content.get("token_endpoint_auth_method")
    method = given if given in ("none", "client_secret_basic", "client_secret_post") else None
    expires = content.get("client_secret_expires_at")
    return Client(
        metadata.issuer,
        client_id,
        secret,
        (method or _way(metadata, bool(secret), has_key=False)) if secret else "none",
        redirect_uri=config.redirect_uri,
        expires_at=float(expires) if isinstance(expires, int) else 0.0,
    )


def _way(metadata: ServerMetadata, has_secret: bool, has_key: bool) -> ClientAuthentication:
    """The best way that both sides have; without a word, RFC 8414 says `client_secret_basic`."""
    offered = metadata.client_authentications
    if has_key and (not has_secret or offered is None or "private_key_jwt" in offered):
        return "private_key_jwt"
    if has_secret and (offered is None or "client_secret_basic" in offered):
        return "client_secret_basic"
    if has_secret and offered is not None and "client_secret_post" in offered:
        return "client_secret_post"
    return "none" if not has_secret or "none" in (offered or ()) else "client_secret_basic"


def _still_good(known: Client, config: OAuthConfig, metadata: ServerMetadata) -> bool:
    in_time = not known.expires_at or known.expires_at > time.time()
    return (
        in_time
        and known.issuer == metadata.issuer
        and bool(known.redirect_uri)
        and known.redirect_uri == config.redirect_uri
    )


def _is_document(url: str) -> bool:
    """Whether a client id may be this address: https, with a path."""
    return is_https(url) and urlsplit(url).path not in ("", "/")
