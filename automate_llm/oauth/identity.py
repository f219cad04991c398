"""A company's identity provider vouches for a person at an MCP server's authorization server.

Source: MCP extension "Enterprise-Managed Authorization", sections 4 and 5; RFC 8693.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from automate_llm.exceptions import AuthorizationFailed
from automate_llm.exchange import Exchange
from automate_llm.values import Connection

from .addresses import checked
from .clients import proof_of
from .documents import post_form, text
from .failures import refusal
from .values import Client, OAuthConfig

_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105  a kind of token
_ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"


@dataclass(frozen=True, slots=True)
class IdentityAssertion:
    """An `AssertionSource` that exchanges the person's ID token at the identity provider.

    `connection` gives the rules for addresses, `client` is who we are to the provider, and
    `id_token` gives the person's token of now.
    """

    connection: Connection
    token_endpoint: str
    client: Client
    id_token: Callable[[], str] = field(repr=False)

    def __call__(self, exchange: Exchange, audience: str, resource: str) -> str:
        """The assertion for this authorization server and MCP server.

        Raises:
            AuthorizationFailed: the identity provider refused, or its answer is broken.
        """
        form = {
            "grant_type": _EXCHANGE,
            "requested_token_type": _ID_JAG,
            "audience": audience,
            "resource": resource,
            "subject_token": self.id_token(),
            "subject_token_type": _ID_TOKEN,
        }
        headers, fields = proof_of(self.client, OAuthConfig(grant="jwt_bearer"))
        url = checked(self.token_endpoint, self.connection, "The identity provider's address")
        document = post_form(self.connection, exchange, url, {**form, **fields}, headers)
        content = document.content or {}
        assertion = text(content.get("access_token"))
        if document.status_code != 200 or not assertion:
            raise refusal(document, "The identity provider gave no assertion")
        if content.get("issued_token_type") != _ID_JAG:
            raise AuthorizationFailed("The identity provider gave something else than asked for.")
        return assertion
