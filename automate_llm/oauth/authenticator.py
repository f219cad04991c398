"""Gives the requests to one MCP server their access token, and gets a new one when it must."""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from automate_llm.authentication import Refusal
from automate_llm.exceptions import (
    AuthorizationFailed,
    AuthorizationRequired,
    MCPClientError,
)
from automate_llm.exchange import Exchange, running_no_tool
from automate_llm.values import Connection

from .addresses import origin_of, same_issuer
from .authorization import dpop_key_for, wanted_scopes
from .challenges import challenge_in
from .clients import client_for
from .discovery import discovered, resource_metadata
from .signing import dpop_proof
from .stores import TokenStore
from .tokens import renewed_token, token_for_ourselves
from .values import Binding, Challenge, OAuthConfig, Token

EARLY_SECONDS = 30.0
"""A token that ends so soon is renewed before it is used."""

_REMEMBERED_SECRETS = 8
_MAX_NONCE_CHARACTERS = 1_024


class OAuthAuthenticator:
    """The `Authenticator` for a server behind OAuth. Thread-safe.

    Give a `Connection` its authenticator with `dataclasses.replace`. A token is sent only to the
    server that it was given for; it is renewed once, however many threads and processes need it.
    """

    def __init__(self, connection: Connection, config: OAuthConfig, store: TokenStore) -> None:
        self._connection = connection
        self._config = config
        self._store = store
        self._nonce = ""
        self._given_out: deque[str] = deque(maxlen=_REMEMBERED_SECRETS)

    @property
    def account(self) -> str:
        """The store's account."""
        return self._store.account

    @property
    def secrets(self) -> tuple[str, ...]:
        """The tokens that were sent lately."""
        return tuple(self._given_out)

    def headers(self, exchange: Exchange, method: str, url: str) -> Mapping[str, str]:
        """`Authorization`, and `DPoP` where the token is bound to a key; nothing without a token.

        Raises:
            AuthorizationRequired: the token has ended, and only a person can get another.
            AuthorizationFailed: the authorization server refused to renew it.
        """
        token = self._token()
        if token is None:
            return {}
        if origin_of(url) != origin_of(token.binding.server_url):
            raise MCPClientError("The access token belongs to another server; nothing was sent.")
        if token.expires_within(EARLY_SECONDS):
            token = self._replaced(exchange, token.access_token)
        if token.access_token not in self._given_out:
            self._given_out.append(token.access_token)
        headers = {"Authorization": f"{token.token_type} {token.access_token}"}
        if token.token_type == "DPoP":  # noqa: S105  a kind of token
            headers["DPoP"] = dpop_proof(
                token.binding.dpop_key,
                method,
                url,
                nonce=self._nonce,
                access_token=token.access_token,
            )
        return headers

    def challenged(self, exchange: Exchange, refusal: Refusal) -> bool:
        """Get what the refusal asks for, if that can be had without a person.

        Raises:
            AuthorizationRequired: it takes a person.
            AuthorizationFailed: the authorization server refused, or is not as it should be.
        """
        challenge = challenge_in(refusal.headers.get("WWW-Authenticate", ""))
        sent = refusal.sent.get("Authorization", "").partition(" ")[2]
        if challenge.error == "use_dpop_nonce":
            return self._took_nonce(refusal.headers.get("DPoP-Nonce", ""))
        token = self._token()
        if token is not None and token.access_token != sent:
            return True  # somebody else has renewed it meanwhile
        with running_no_tool():
            if refusal.status_code == 403:
                return self._stepped_up(exchange, challenge, token)
            return self._reauthorized(exchange, challenge, token, refusal.attempt)

    def _token(self) -> Token | None:
        """The stored token, where it was given for this server."""
        token = self._store.get()
        if token is None or token.binding.server_url != self._connection.endpoint_url:
            return None
        return token

    def _took_nonce(self, nonce: str) -> bool:
        usable = all("!" <= char <= "~" for char in nonce) and len(nonce) <= _MAX_NONCE_CHARACTERS
        if not nonce or not usable or nonce == self._nonce:
            return False
        self._nonce = nonce
        return True

    def _reauthorized(
        self, exchange: Exchange, challenge: Challenge, token: Token | None, attempt: int
    ) -> bool:
        if token is not None and attempt:
            if self._config.grant == "authorization_code":
                raise self._required("does not accept the account that you connected", challenge)
            return False  # it was just given, and is refused
        if self._config.grant != "authorization_code":
            self._obtain(exchange, challenge, token)
            return True
        if token is None:
            raise self._required("needs an account that you have not connected yet", challenge)
        resource = resource_metadata(self._connection, exchange, challenge)
        issuer = token.binding.client.issuer
        named = resource.authorization_servers if resource is not None else (issuer,)
        if not any(same_issuer(server, issuer) for server in named):
            raise self._required("has moved to another authorization server", challenge)
        self._replaced(exchange, token.access_token, challenge)
        return True

    def _stepped_up(self, exchange: Exchange, challenge: Challenge, token: Token | None) -> bool:
        """Ask for more scopes, unless these were asked for before: more would not help then."""
        if challenge.error != "insufficient_scope":
            return False
        if token is not None and set(challenge.scopes) <= set(token.scopes):
            return False
        if self._config.grant == "authorization_code":
            raise self._required("needs more rights than your account has given", challenge)
        self._obtain(exchange, challenge, token)
        return True

    def _replaced(
        self, exchange: Exchange, spent: str, challenge: Challenge | None = None
    ) -> Token:
        """The token after the one that is spent; whoever comes first gets it, the others wait."""
        with self._locked(exchange), running_no_tool():
            token = self._token()
            if token is not None and token.access_token == spent:
                token = self._renewed(exchange, token)
                self._store.save(token)
        # Not before the lock is let go: a store may undo what was saved in a block that fails.
        if token is None or token.access_token == spent:
            raise self._required("has ended the connection with your account", challenge)
        return token

    def _renewed(self, exchange: Exchange, token: Token) -> Token:
        """The next token; the same one without its refresh token where only a person can help."""
        if token.refresh_token:
            try:
                return renewed_token(self._connection, exchange, self._config, token)
            except AuthorizationFailed as exc:
                if exc.code != "invalid_grant":
                    raise
        if self._config.grant != "authorization_code":
            return token_for_ourselves(
                self._connection, exchange, self._config, token.binding, token.scopes
            )
        # It has ended for good; asking again could only look like theft.
        return replace(token, refresh_token="")

    def _obtain(self, exchange: Exchange, challenge: Challenge, spent: Token | None) -> None:
        """Get a token for the site itself, found out from the start."""
        with self._locked(exchange):
            token = self._token()
            if token is not None and (spent is None or token.access_token != spent.access_token):
                return
            connection, config = self._connection, self._config
            before = token.binding.client if token is not None else None
            bound = before.issuer if before and before.client_id == config.client_id else ""
            resource, metadata = discovered(connection, exchange, config, challenge, bound)
            binding = Binding(
                server_url=connection.endpoint_url,
                resource=resource.resource,
                token_endpoint=metadata.token_endpoint,
                client=client_for(connection, exchange, config, metadata, None),
                revocation_endpoint=metadata.revocation_endpoint,
                dpop_key=dpop_key_for(challenge, resource, metadata),
            )
            scopes = wanted_scopes(config, challenge, resource, metadata, token)
            self._store.save(token_for_ourselves(connection, exchange, config, binding, scopes))

    @contextmanager
    def _locked(self, exchange: Exchange) -> Iterator[None]:
        try:
            with self._store.locked(exchange.remaining()):
                yield
        except TimeoutError:
            raise exchange.timed_out() from None

    def _required(self, what: str, challenge: Challenge | None) -> AuthorizationRequired:
        return AuthorizationRequired(
            f"The server {self._connection.slug!r} {what}. Connect your account to use its tools.",
            challenge,
        )
