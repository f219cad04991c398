"""Finds out whether, and when, a wake-up was heard."""

import threading
import time

from chat.models import Turn
from chat.wake_ups import wake_ups
from chat.wake_ups.base import Channel


class Waiter:
    """Notes when it was woken."""

    def __init__(self) -> None:
        self.woken_at: list[float] = []
        self._news = threading.Condition()

    def wake(self) -> None:
        with self._news:
            self.woken_at.append(time.monotonic())
            self._news.notify_all()

    def wait_for(self, count: int) -> None:
        with self._news:
            assert self._news.wait_for(lambda: len(self.woken_at) >= count, 10)


def hears(turn: Turn) -> bool:
    """Whether this process hears itself, and so the others."""
    heard = threading.Event()
    with wake_ups.listen(turn.pk, heard.set):
        wake_ups.carrier().announce(Channel.NEWS, [turn.pk])
        return heard.wait(0.1)
