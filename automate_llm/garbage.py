"""Makes full garbage collections rare while a process streams many answers.

A full collection stops all threads while it walks every object of the process: with a thousand
answers under way 0.35 s, every three seconds, and it finds next to nothing. Python begins one when
a quarter more objects than before have outlived a younger collection; rows on their way to the
database do that, and their reference counts free them a moment later. Younger collections go on.
Source: Python's documentation, `gc.set_threshold`.
"""

import gc
import threading

MANY_STREAMS = 50
"""Up to so many at once, the collector is left as it is."""

RARELY = 1_000
"""Younger collections between two full ones; Python's own number is 10."""


class SparingCollector:
    """`with sparing_collector:` around each stream. Thread-safe.

    A threshold that somebody else sets meanwhile stays.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams = 0
        self._usual = 0

    def __enter__(self) -> None:
        with self._lock:
            self._streams += 1
            first, second, third = gc.get_threshold()
            if self._streams == MANY_STREAMS + 1 and third < RARELY:
                self._usual = third
                gc.set_threshold(first, second, RARELY)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._streams -= 1
            first, second, third = gc.get_threshold()
            if self._streams == MANY_STREAMS and self._usual:
                if third == RARELY:
                    gc.set_threshold(first, second, self._usual)
                self._usual = 0


sparing_collector = SparingCollector()
