"""A server that only takes tokens of an authorization server: by its SDK's own means, or by a gate.

The authorization server is the test's, whose tokens are known by their first letters.
"""

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

PREFIX = "access-token-"
METADATA = "/.well-known/oauth-protected-resource"

App = Callable[..., Awaitable[None]]


class Verifier:
    """The SDK's `TokenVerifier`, with its own class of tokens."""

    def __init__(self, access_token: Any) -> None:
        self._access_token = access_token

    async def verify_token(self, token: str) -> Any:
        """The token's facts, or nothing where it is not of this authorization server."""
        if not token.startswith(PREFIX):
            return None
        return self._access_token(token=token, client_id="a client", scopes=[])


def own_settings(issuer: str, url: str) -> dict[str, Any]:
    """What makes an SDK of 1.10 or newer a resource server at this address."""
    from mcp.server.auth.provider import AccessToken
    from mcp.server.auth.settings import AuthSettings

    settings = AuthSettings(issuer_url=issuer, resource_server_url=url)
    return {"auth": settings, "token_verifier": Verifier(AccessToken)}


class Gate:
    """Lets a request through to the server that has a token, with a key's proof if it is `bound`.

    Source: RFC 9728; RFC 6750, section 3; RFC 9449, section 7.
    """

    def __init__(self, app: App, issuer: str, url: str, *, bound: bool) -> None:
        self._app, self._issuer, self._url, self._bound = app, issuer, url, bound

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer as an ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        origin = self._url.split("/", 3)
        if scope["path"].startswith(METADATA):
            document = {"resource": self._url, "authorization_servers": [self._issuer]}
            if self._bound:
                document["dpop_bound_access_tokens_required"] = True
            await _answer(send, 200, document)
        elif self._lets_through(scope["method"], "/".join(origin[:3]) + scope["path"], headers):
            await self._app(scope, receive, send)
        else:
            where = f'resource_metadata="{"/".join(origin[:3])}{METADATA}"'
            scheme = "DPoP" if self._bound else "Bearer"
            await _answer(send, 401, {}, ((b"www-authenticate", f"{scheme} {where}".encode()),))

    def _lets_through(self, method: str, url: str, headers: dict[str, str]) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if not self._bound:
            return scheme == "Bearer" and token.startswith(PREFIX)
        if scheme != "DPoP" or not token.startswith(PREFIX) or "dpop" not in headers:
            return False
        payload = headers["dpop"].split(".")[1]
        proof = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        digest = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest())
        expected = (method, url, digest.rstrip(b"=").decode())
        return (proof["htm"], proof["htu"], proof["ath"]) == expected


async def _answer(
    send: Any, status: int, body: object, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    head = ((b"content-type", b"application/json"), *headers)
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
