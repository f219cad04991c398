"""Seconds that run down, and stand still while a person is asked."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Countdown:
    """Runs down the seconds that something may take, for all of its threads."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._holds = 0
        self._held_at = 0.0

    def left(self) -> float:
        """Seconds until the end; less than none after it."""
        with self._lock:
            return self._end - (self._held_at if self._holds else time.monotonic())

    @contextmanager
    def held(self) -> Iterator[None]:
        """In the block no time passes, nor in any other thread's while one is in such a block."""
        with self._lock:
            if not self._holds:
                self._held_at = time.monotonic()
            self._holds += 1
        try:
            yield
        finally:
            with self._lock:
                self._holds -= 1
                if not self._holds:
                    self._end += time.monotonic() - self._held_at
