"""Where a token is kept."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from .values import Token


class TokenStore(Protocol):
    """Keeps the token of one account at one server; any number of threads use it."""

    @property
    def account(self) -> str:
        """Whose token it keeps, such as a user's id; never sent."""
        ...

    def get(self) -> Token | None:
        """The token as it is now, whoever saved it."""
        ...

    def save(self, token: Token) -> None:
        """Keep this token instead of the one before."""
        ...

    def locked(self, seconds: float) -> AbstractContextManager[object]:
        """In the block nobody else renews this token, in any process; `get` and `save` work.

        Raises:
            TimeoutError: somebody else held it for so many seconds.
        """
        ...


class MemoryTokenStore:
    """A token in this process, for a script or a test."""

    def __init__(self, token: Token | None = None, account: str = "") -> None:
        self.account = account
        self._token = token
        self._lock = threading.Lock()

    def get(self) -> Token | None:
        """The token that was saved last."""
        return self._token

    def save(self, token: Token) -> None:
        """Keep this token instead of the one before."""
        self._token = token

    @contextmanager
    def locked(self, seconds: float) -> Iterator[None]:
        """In the block no other thread renews this token."""
        if not self._lock.acquire(timeout=seconds):
            raise TimeoutError
        try:
            yield
        finally:
            self._lock.release()
