"""What OAuth has to remember: frozen values whose secrets show in no `repr`."""

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from automate_llm.exceptions import MCPClientError

if TYPE_CHECKING:
    from automate_llm.exchange import Exchange

Grant = Literal["authorization_code", "client_credentials", "jwt_bearer"]
ClientAuthentication = Literal[
    "none", "client_secret_basic", "client_secret_post", "private_key_jwt"
]

PENDING_SECONDS = 600.0
"""How long a person may take between leaving for the authorization server and coming back."""


class AssertionSource(Protocol):
    """Gives a JWT that says who we are, such as a platform's workload identity token.

    `audience` is the authorization server's issuer, `resource` the MCP server's identifier.
    """

    def __call__(self, exchange: "Exchange", audience: str, resource: str) -> str: ...


@dataclass(frozen=True, slots=True)
class OAuthConfig:
    """How a site owner wants to be authorized at one MCP server.

    `grant` is `authorization_code` for people, each of whom connects an account,
    `client_credentials` for the site itself, and `jwt_bearer` for an identity that `assertion`
    proves (RFC 7523). `client_id` with `client_secret` or `private_key` (PEM) are those of a
    client that was registered beforehand, at `issuer`; without an issuer they are bound to the
    first one. `client_metadata_url` is where this site serves its client metadata document.
    `scopes` are asked for where the server demands none.
    """

    grant: Grant
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    signing_algorithm: str = ""
    client_authentication: ClientAuthentication | None = None
    issuer: str = ""
    client_metadata_url: str = ""
    client_name: str = "Django Automate"
    redirect_uri: str = ""
    scopes: tuple[str, ...] = ()
    assertion: AssertionSource | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a refusal asks for. Source: RFC 6750, section 3; RFC 9728, section 5.1."""

    scopes: tuple[str, ...] = ()
    resource_metadata: str = ""
    error: str = ""
    dpop: bool = False


@dataclass(frozen=True, slots=True)
class ResourceMetadata:
    """What an MCP server says of its protection (RFC 9728).

    `scopes_supported` is `None` where the server does not say.
    """

    resource: str
    authorization_servers: tuple[str, ...]
    scopes_supported: tuple[str, ...] | None = None
    dpop: bool = False


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """What an authorization server says of itself (RFC 8414), its issuer and addresses checked.

    `None` stands where it does not say.
    """

    issuer: str
    token_endpoint: str
    authorization_endpoint: str = ""
    registration_endpoint: str = ""
    revocation_endpoint: str = ""
    scopes_supported: tuple[str, ...] = ()
    grant_types: tuple[str, ...] | None = None
    client_authentications: tuple[str, ...] | None = None
    code_challenge_methods: tuple[str, ...] = ()
    dpop_algorithms: tuple[str, ...] = ()
    names_itself_in_responses: bool = False
    takes_metadata_documents: bool = False


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are to one authorization server; never used at another.

    `redirect_uri` is the one that was registered, empty where that is not ours to know.
    `expires_at` is when the secret ends, in seconds since the epoch; 0 is never.
    """

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    authentication: ClientAuthentication = "none"
    redirect_uri: str = ""
    expires_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Binding:
    """What a credential is bound to: it is never used at another server.

    A token goes to the origin of `server_url`, is renewed at `token_endpoint` as `client`, and
    ended at `revocation_endpoint`, where the authorization server has one.
    `resource` is the audience that it is asked for (RFC 8707). `dpop_key` is the private key
    (PEM) that it is bound to (RFC 9449), empty for bearer tokens.
    """

    server_url: str
    resource: str
    token_endpoint: str
    client: Client
    revocation_endpoint: str = ""
    dpop_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, what it is bound to, and what renews it.

    `expires_at` is in seconds since the epoch, `None` where the authorization server does not
    say. `scopes` are those that were asked for or granted.
    """

    access_token: str = field(repr=False)
    binding: Binding
    token_type: Literal["Bearer", "DPoP"] = "Bearer"  # noqa: S105  a kind of token
    refresh_token: str = field(default="", repr=False)
    expires_at: float | None = None
    scopes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.access_token or not all("!" <= char <= "~" for char in self.access_token):
            raise MCPClientError("The access token has characters that no header may carry.")

    def expires_within(self, seconds: float) -> bool:
        """Whether it is known to end within so many seconds."""
        return self.expires_at is not None and self.expires_at <= time.time() + seconds

    def as_dict(self) -> dict[str, Any]:
        """The token in JSON's types, with its secrets: encrypt what is stored."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """What `as_dict` gave, as a token again."""
        return cls(**_restored(data))


@dataclass(frozen=True, slots=True)
class Pending:
    """An authorization that a person has begun: what the callback is held against.

    Keep it for that person only, use it once, and encrypt it where it is stored. With
    `names_issuer` the callback must say which authorization server it comes from (RFC 9207).
    """

    state: str = field(repr=False)
    code_verifier: str = field(repr=False)
    binding: Binding
    redirect_uri: str
    scopes: tuple[str, ...]
    names_issuer: bool
    begun_at: float

    def as_dict(self) -> dict[str, Any]:
        """The value in JSON's types, with its secrets: encrypt what is stored."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """What `as_dict` gave, as a value again."""
        return cls(**_restored(data))


def _restored(data: Mapping[str, Any]) -> dict[str, Any]:
    binding = data["binding"]
    return {
        **data,
        "binding": Binding(**{**binding, "client": Client(**binding["client"])}),
        "scopes": tuple(data["scopes"]),
    }
