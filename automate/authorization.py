"""Authorizes the requests to a server from the accounts that are stored."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from automate_llm.authentication import Refusal
from automate_llm.exceptions import AuthorizationRequired
from automate_llm.exchange import Exchange
from automate_llm.oauth import OAuthAuthenticator, OAuthConfig
from automate_llm.values import Connection

from .token_store import RowTokenStore


class AccountAuthenticator(OAuthAuthenticator):
    """The `Authenticator` of a person's own account.

    Without an account nothing is sent at all, and why one has to be connected again is kept for
    the page where people do so.
    """

    def __init__(
        self, connection: Connection, config: OAuthConfig, store: RowTokenStore, server_name: str
    ) -> None:
        super().__init__(connection, config, store)
        self._rows = store
        self._server_name = server_name

    def headers(self, exchange: Exchange, method: str, url: str) -> Mapping[str, str]:
        """The credentials for one request to this address.

        Raises:
            AuthorizationRequired: the person has no account there, or must connect it again.
        """
        with self._noting():
            headers = super().headers(exchange, method, url)
        if not headers:
            raise AuthorizationRequired(f"Connect your account of {self._server_name} first.")
        return headers

    def challenged(self, exchange: Exchange, refusal: Refusal) -> bool:
        """Whether other credentials are there now.

        Raises:
            AuthorizationRequired: the person must connect the account again.
        """
        with self._noting():
            return super().challenged(exchange, refusal)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except AuthorizationRequired as exc:
            self._rows.note(str(exc), exc.challenge)
            raise
