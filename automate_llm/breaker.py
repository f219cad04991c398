"""Keeps calls away from a server that fails again and again, so that turns do not wait for it."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil

from .exceptions import (
    ConnectionFailed,
    DeadlineExceeded,
    InputRequired,
    RPCError,
    UnexpectedStatus,
)

FAILURES = 5
WINDOW_SECONDS = 60.0
PAUSE_SECONDS = 15.0


class Breaker:
    """Opens after 5 failures within 60 s; after a pause of 15 s one call is let through to try.

    A failure is a server that cannot be reached, does not answer in time, or answers 5xx. A
    refusal is an answer like any other. Thread-safe.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: deque[float] = deque(maxlen=FAILURES)
        self._closed_until = 0.0

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Let one call through and learn from how it ends.

        Raises:
            ConnectionFailed: the server failed too often; nothing was sent.
        """
        self._admit()
        try:
            yield
        except (ConnectionFailed, DeadlineExceeded):
            self._failed()
            raise
        except UnexpectedStatus as exc:
            if exc.status_code >= 500:
                self._failed()
            else:
                self.reset()
            raise
        except (RPCError, InputRequired):
            self.reset()
            raise
        self.reset()

    @property
    def pause(self) -> float:
        """Seconds until a call is let through; 0 where calls pass."""
        return max(0.0, self._closed_until - self._clock())

    @property
    def failures(self) -> int:
        """How often it has failed since it last answered, up to 5."""
        return len(self._failures)

    def reset(self) -> None:
        """The server answers: forget its failures."""
        with self._lock:
            self._failures.clear()
            self._closed_until = 0.0

    def _admit(self) -> None:
        with self._lock:
            now = self._clock()
            if now < self._closed_until:
                seconds = ceil(self._closed_until - now)
                raise ConnectionFailed(
                    f"Connection error: the server failed {FAILURES} times within "
                    f"{WINDOW_SECONDS:g} s; it is tried again in {seconds} s."
                )
            if self._is_open(now):
                # This call is the try; the others wait for its outcome.
                self._closed_until = now + PAUSE_SECONDS

    def _failed(self) -> None:
        with self._lock:
            now = self._clock()
            self._failures.append(now)
            if self._is_open(now):
                self._closed_until = now + PAUSE_SECONDS

    def _is_open(self, now: float) -> bool:
        return len(self._failures) == FAILURES and self._failures[0] > now - WINDOW_SECONDS


_breakers: dict[tuple[str, str], Breaker] = {}
_lock = threading.Lock()


def breaker_of(slug: str, endpoint_url: str) -> Breaker:
    """The breaker of this server in this process."""
    with _lock:
        breaker = _breakers.get((slug, endpoint_url))
        if breaker is None:
            breaker = _breakers[slug, endpoint_url] = Breaker()
        return breaker
