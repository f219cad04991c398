"""Finds who protects an MCP server, and what that authorization server can do.

Source: MCP 2026-07-28, basic/authorization/authorization-server-discovery; RFC 9728; RFC 8414.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from automate_llm.exceptions import AuthorizationFailed
from automate_llm.exchange import Exchange
from automate_llm.values import Connection

from .addresses import canonical, checked, covers, origin_url, same_issuer
from .challenges import scopes_in
from .documents import get, strings, text
from .values import Challenge, OAuthConfig, ResourceMetadata, ServerMetadata

_RESOURCE = "/.well-known/oauth-protected-resource"
_OAUTH = "/.well-known/oauth-authorization-server"
_OPENID = "/.well-known/openid-configuration"


def resource_metadata(
    connection: Connection, exchange: Exchange, challenge: Challenge
) -> ResourceMetadata | None:
    """The server's protected-resource metadata, or `None` where it publishes none.

    The address in the challenge comes first, then the well-known one for the server's path, then
    the one at the root.

    Raises:
        AuthorizationFailed: the document is broken, or is about another server.
    """
    for url in _resource_urls(connection, challenge):
        document = get(connection, exchange, url)
        if document.status_code == 200 and document.content is not None:
            return _resource(connection, document.content)
    return None


def choose_issuer(resource: ResourceMetadata, config: OAuthConfig, bound: str) -> str:
    """The authorization server to use: the one that our credentials belong to, or the first.

    `bound` is the issuer that registered credentials went to before, empty if there is none.

    Raises:
        AuthorizationFailed: the credentials belong to a server that is not named any more.
    """
    wanted = config.issuer or (bound if config.client_id else "")
    named = (server for server in resource.authorization_servers if same_issuer(server, wanted))
    found = next(named, "")
    if wanted and not found:
        raise AuthorizationFailed(
            f"The server names other authorization servers than {wanted!r}, to which the "
            "configured client belongs. Register a client there, and check that the change is "
            "meant."
        )
    return found or resource.authorization_servers[0]


def server_metadata(connection: Connection, exchange: Exchange, issuer: str) -> ServerMetadata:
    """What the authorization server says of itself: RFC 8414 first, then OpenID Connect.

    Raises:
        AuthorizationFailed: it publishes nothing, or calls itself by another name.
    """
    checked(issuer, connection, "The authorization server's issuer")
    found = _published(connection, exchange, issuer)
    if found is None:
        raise AuthorizationFailed(f"The authorization server {issuer!r} publishes no metadata.")
    return found


def metadata_at_origin(connection: Connection, exchange: Exchange) -> ServerMetadata:
    """The MCP server as its own authorization server, as 2025-03-26 had it.

    Without a document the paths are the ones which that version fixed. Source: MCP 2025-03-26,
    basic/authorization, "Fallbacks for Servers without Metadata Discovery".
    """
    issuer = origin_url(connection.endpoint_url)
    checked(issuer, connection, "The server's own address")
    return _published(connection, exchange, issuer) or ServerMetadata(
        issuer=issuer,
        token_endpoint=f"{issuer}/token",
        authorization_endpoint=f"{issuer}/authorize",
        registration_endpoint=f"{issuer}/register",
        code_challenge_methods=("S256",),  # that version demands it of every server
    )


def discovered(
    connection: Connection,
    exchange: Exchange,
    config: OAuthConfig,
    challenge: Challenge,
    bound: str,
) -> tuple[ResourceMetadata, ServerMetadata]:
    """Both documents; a server without the first is taken for its own authorization server.

    Raises:
        AuthorizationFailed: see `resource_metadata`, `choose_issuer` and `server_metadata`.
    """
    resource = resource_metadata(connection, exchange, challenge)
    if resource is not None:
        issuer = choose_issuer(resource, config, bound)
        return resource, server_metadata(connection, exchange, issuer)
    metadata = metadata_at_origin(connection, exchange)
    resource = ResourceMetadata(canonical(connection.endpoint_url), (metadata.issuer,))
    choose_issuer(resource, config, bound)
    return resource, metadata


def well_known_urls(issuer: str) -> Iterator[str]:
    """Where an authorization server's metadata may be, in the specification's order."""
    origin, path = origin_url(issuer), urlsplit(issuer).path.rstrip("/")
    yield f"{origin}{_OAUTH}{path}"
    yield f"{origin}{_OPENID}{path}"
    if path:
        yield f"{origin}{path}{_OPENID}"


def _resource_urls(connection: Connection, challenge: Challenge) -> Iterator[str]:
    if challenge.resource_metadata:
        yield checked(
            challenge.resource_metadata, connection, "The address of the server's metadata"
        )
    parts = urlsplit(connection.endpoint_url)
    origin, path = origin_url(connection.endpoint_url), parts.path.rstrip("/")
    query = f"?{parts.query}" if parts.query else ""
    if path or query:
        yield f"{origin}{_RESOURCE}{path}{query}"
    yield f"{origin}{_RESOURCE}"


def _resource(connection: Connection, content: dict[str, Any]) -> ResourceMetadata:
    resource = text(content.get("resource"))
    if not covers(resource, connection.endpoint_url):
        raise AuthorizationFailed(
            "The server's protected-resource metadata is about another server; nothing is "
            "authorized."
        )
    servers = strings(content.get("authorization_servers"))
    if not servers:
        raise AuthorizationFailed("The server's metadata names no authorization server.")
    scopes = strings(content.get("scopes_supported"))
    return ResourceMetadata(
        resource=resource,
        authorization_servers=servers,
        scopes_supported=None if scopes is None else scopes_in(" ".join(scopes)),
        dpop=content.get("dpop_bound_access_tokens_required") is True
        or bool(strings(content.get("dpop_signing_alg_values_supported"))),
    )


def _published(connection: Connection, exchange: Exchange, issuer: str) -> ServerMetadata | None:
    for url in well_known_urls(issuer):
        document = get(connection, exchange, url)
        if document.status_code == 200 and document.content is not None:
            return _server(connection, document.content, issuer)
    return None


def _server(connection: Connection, content: dict[str, Any], issuer: str) -> ServerMetadata:
    # What it calls itself is the name that everything is bound to.
    own_name = text(content.get("issuer"))
    if not same_issuer(own_name, issuer):
        raise AuthorizationFailed(
            f"The authorization server {issuer!r} gives itself another name (issuer) in its "
            "metadata; nothing is authorized."
        )

    def address(name: str) -> str:
        url = content.get(name)
        what = f"The authorization server's {name}"
        return checked(url, connection, what) if url is not None else ""

    return ServerMetadata(
        issuer=own_name,
        token_endpoint=checked(
            content.get("token_endpoint"), connection, "The authorization server's token_endpoint"
        ),
        authorization_endpoint=address("authorization_endpoint"),
        registration_endpoint=address("registration_endpoint"),
        revocation_endpoint=address("revocation_endpoint"),
        scopes_supported=strings(content.get("scopes_supported")) or (),
        grant_types=strings(content.get("grant_types_supported")),
        client_authentications=strings(content.get("token_endpoint_auth_methods_supported")),
        code_challenge_methods=strings(content.get("code_challenge_methods_supported")) or (),
        dpop_algorithms=strings(content.get("dpop_signing_alg_values_supported")) or (),
        names_itself_in_responses=(
            content.get("authorization_response_iss_parameter_supported") is True
        ),
        takes_metadata_documents=content.get("client_id_metadata_document_supported") is True,
    )
