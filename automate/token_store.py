"""Keeps OAuth tokens in rows, and lets one thread of all processes renew each."""

import dataclasses
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now

from automate_llm.oauth import Challenge, Token

from .databases import briefly_connected
from .encryption import opened, sealed

if TYPE_CHECKING:
    from .models.oauth import OAuthTokenQuerySet

_POLL_SECONDS = 0.05
_SPARE_SECONDS = 5.0
"""A lease outlives the deadline of the request that it is for by so much."""


class RowTokenStore:
    """The `TokenStore` of one account at one server.

    Whoever renews a token holds its row's lease, which was taken by one compare-and-swap
    `UPDATE`: no transaction and no connection is held while the authorization server is waited
    for, and SQLite and PostgreSQL do the same. The database's clock counts. The lease of a
    process that dies runs out. Use it outside of transactions, so that others see what it writes.
    """

    def __init__(self, rows: "OAuthTokenQuerySet", server_id: int, user_id: int | None) -> None:
        self._known: dict[str, Any] = {"server_id": server_id, "user_id": user_id}
        self._rows = rows.filter(**self._known)
        self._here = threading.local()

    @property
    def account(self) -> str:
        """The user's key; empty for the site's own token."""
        return str(self._known["user_id"] or "")

    def get(self) -> Token | None:
        """The token as it is now; `None` where there is none that can be decrypted."""
        with briefly_connected(self._rows.db):
            data = self._rows.values_list("token_data", flat=True).first()
        return token_in(data or "")

    def save(self, token: Token) -> None:
        """Keep this token; in a `locked` block only where nobody has connected anew meanwhile."""
        values: dict[str, Any] = {
            "token_data": sealed(token.as_dict()),
            "expires_at": _moment(token.expires_at),
            "renewable": bool(token.refresh_token),
            "attention": "",
            "challenge_data": {},
        }
        lease = getattr(self._here, "lease", "")
        with briefly_connected(self._rows.db):
            if lease:
                connected_at = Coalesce(F("connected_at"), Now())
                self._rows.filter(lease=lease).update(**values, connected_at=connected_at)
            else:
                values |= {"connected_at": datetime.now(UTC), "lease": "", "leased_until": None}
                self._rows.update_or_create(**self._known, defaults=values)

    def note(self, attention: str, challenge: Challenge | None) -> None:
        """Remember why the person must connect the account again."""
        data = dataclasses.asdict(challenge) if challenge else {}
        with briefly_connected(self._rows.db):
            self._rows.connected().update(attention=attention[:500], challenge_data=data)

    def remove(self) -> None:
        """Forget the account."""
        with briefly_connected(self._rows.db):
            self._rows.delete()

    @contextmanager
    def locked(self, seconds: float) -> Iterator[None]:
        """In the block nobody else renews this token, in any process.

        Raises:
            TimeoutError: somebody else held it for so many seconds.
        """
        lease = secrets.token_hex(16)
        self._wait_for(lease, seconds)
        self._here.lease = lease
        try:
            yield
        finally:
            self._here.lease = ""
            with briefly_connected(self._rows.db):
                self._rows.filter(lease=lease).update(lease="", leased_until=None)

    def _wait_for(self, lease: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        with briefly_connected(self._rows.db):
            self._rows.get_or_create(**self._known)
        while not self._took(lease, seconds + _SPARE_SECONDS):
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            time.sleep(min(_POLL_SECONDS, left))

    def _took(self, lease: str, seconds: float) -> bool:
        free = Q(leased_until=None) | Q(leased_until__lt=Now())
        with briefly_connected(self._rows.db):
            until = Now() + timedelta(seconds=seconds)
            return bool(self._rows.filter(free).update(lease=lease, leased_until=until))


def token_in(data: str) -> Token | None:
    """The token in an encrypted text; `None` where there is none that can be read."""
    content = opened(data)
    try:
        return Token.from_dict(content) if content else None
    except (KeyError, TypeError):
        return None


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
