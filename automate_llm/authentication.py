"""Credentials that change while a server is spoken to, such as OAuth's access tokens."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from .exchange import Exchange
from .http import Answer, refuse_status, send
from .values import Connection

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """A 401 or 403, and the credentials that met it.

    `attempt` counts from 0: how often this request was sent before.
    """

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    sent: Mapping[str, str] = field(repr=False)
    attempt: int


class Authenticator(Protocol):
    """Gives each request its credentials. One object serves any number of threads."""

    @property
    def account(self) -> str:
        """Whose credentials these are: two accounts never share a session. Not sent."""
        ...

    @property
    def secrets(self) -> tuple[str, ...]:
        """What was sent lately and must never come back."""
        ...

    def headers(self, exchange: Exchange, method: str, url: str) -> Mapping[str, str]:
        """The headers for one request to this address; none where there is no credential yet."""
        ...

    def challenged(self, exchange: Exchange, refusal: Refusal) -> bool:
        """Whether other credentials are there now, so that the request may be sent once more."""
        ...


@contextmanager
def send_authenticated(
    connection: Connection,
    exchange: Exchange,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> Iterator[Answer]:
    """`http.send` with the connection's own credentials.

    A request that was refused for its credentials (401, 403) did not run; it is sent again where
    the authenticator has others, at most twice.

    Raises:
        UnexpectedStatus: the last answer was such a refusal.
        AuthorizationRequired: a person must connect an account first.
    """
    authenticator = connection.authenticator
    if authenticator is None:
        with send(connection, exchange, method, url, headers, body) as answer:
            yield answer
        return
    for attempt in range(_ATTEMPTS):
        own = authenticator.headers(exchange, method, url)
        with send(connection, exchange, method, url, {**headers, **own}, body) as answer:
            if answer.status_code not in (401, 403):
                yield answer
                return
        refusal = Refusal(answer.status_code, answer.headers, own, attempt)
        if not authenticator.challenged(exchange, refusal):
            break
    refuse_status(answer)
