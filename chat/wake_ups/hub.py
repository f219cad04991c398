"""Where wake-ups meet in a process: whoever waits here, and the thread that hears the others."""

import logging
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router, transaction

from automate.conf import conf
from chat.models import TurnEvent

from .base import Carrier, Channel
from .local import LocalCarrier

logger = logging.getLogger(__name__)

LONGEST_BACK_OFF = 5.0
"""Seconds between two tries to hear the other processes again."""

Wake = Callable[[], object]


class WakeUps:
    """Wakes whoever waits for a turn, in this process and in the others. Thread-safe.

    One thread hears the other processes, however many wait here; it begins with the first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: defaultdict[tuple[Channel, str], set[Wake]] = defaultdict(set)
        self._carrier: Carrier | None = None
        self._ear: threading.Thread | None = None
        self._end = threading.Event()

    @contextmanager
    def listen(self, turn_id: UUID, wake: Wake, channel: Channel = Channel.NEWS) -> Iterator[None]:
        """Call `wake` at every word of this turn, from any thread, until the block ends."""
        key = channel, turn_id.hex
        with self._lock:
            self._listeners[key].add(wake)
        try:
            self._hear_others()
            yield
        finally:
            with self._lock:
                self._listeners[key].discard(wake)
                if not self._listeners[key]:
                    del self._listeners[key]

    def announce(self, turn_ids: Sequence[UUID], channel: Channel = Channel.NEWS) -> None:
        """Wake who waits for these turns, when the transaction under way is committed.

        To be called after what it is about was written, in the same transaction.
        """
        self.carrier().announce(channel, turn_ids)

        turns = [turn_id.hex for turn_id in turn_ids]
        transaction.on_commit(partial(self._wake, turns, channel), using=_database())

    def wake(self, turn_id: UUID, channel: Channel = Channel.NEWS) -> None:
        """Wake who waits for this turn in this process."""
        self._wake([turn_id.hex], channel)

    def _wake(self, turns: Sequence[str], channel: Channel) -> None:
        with self._lock:
            waiting = [each for turn in turns for each in self._listeners.get((channel, turn), ())]
        for listener in waiting:
            listener()

    def is_awaited(self, turn_id: UUID) -> bool:
        """Whether somebody in this process waits for news of this turn."""
        with self._lock:
            return (Channel.NEWS, turn_id.hex) in self._listeners

    def carrier(self) -> Carrier:
        """What `AUTOMATE["WAKE_UPS"]` names.

        Raises:
            ImproperlyConfigured: it cannot be had.
        """
        if self._carrier is None:
            self._carrier = _chosen_carrier()
        return self._carrier

    def close(self) -> None:
        """Hear no other process any more, until somebody waits again."""
        with self._lock:
            ear, self._ear, self._carrier = self._ear, None, None
            self._end.set()
        if ear is not None:
            ear.join()

    def forget_all(self) -> None:
        """What a forked process does: its parent's threads are not there."""
        self.__init__()  # type: ignore[misc]

    def _hear_others(self) -> None:
        if self._ear is not None or isinstance(carrier := self.carrier(), LocalCarrier):
            return
        with self._lock:
            if self._ear is None:
                self._end = threading.Event()
                parts = carrier, self._end
                name = "automate-wake-ups"
                self._ear = threading.Thread(target=self._hear, args=parts, name=name, daemon=True)
                self._ear.start()

    def _hear(self, carrier: Carrier, end: threading.Event) -> None:
        back_off = 0.1
        is_away = False
        while not end.is_set():
            try:
                for place, said in enumerate(carrier.words()):
                    if end.is_set():
                        return
                    if place == 0:
                        # Whatever was said before is past: everybody looks once.
                        back_off, is_away = 0.1, False
                        self._wake_everybody()
                    if said:
                        self._wake(said.turns, said.channel)
            except Exception as exc:  # any library's; wake-ups only spare a wait
                if not is_away:
                    logger.warning(
                        "Wake-ups by %s are not heard, so that streams look for themselves: %s",
                        carrier.name,
                        exc,
                    )
                is_away = True
            end.wait(back_off)
            back_off = min(back_off * 2, LONGEST_BACK_OFF)

    def _wake_everybody(self) -> None:
        with self._lock:
            listeners = [each for group in self._listeners.values() for each in group]
        for listener in listeners:
            listener()


def _chosen_carrier() -> Carrier:
    settings = conf()
    name = settings.WAKE_UPS
    if name == "auto":
        is_postgres = connections[_database()].vendor == "postgresql"
        name = "redis" if settings.REDIS_URL else "postgres" if is_postgres else "local"
    if name == "redis":
        from .redis import RedisCarrier

        if not settings.REDIS_URL:
            raise ImproperlyConfigured(
                "AUTOMATE['WAKE_UPS'] is 'redis': set AUTOMATE['REDIS_URL']."
            )
        try:
            return RedisCarrier(settings.REDIS_URL)
        except ImportError as exc:
            raise ImproperlyConfigured(
                "AUTOMATE['REDIS_URL'] is set: install django-automate with the extra 'redis'."
            ) from exc
    if name == "postgres":
        from .postgres import PostgresCarrier

        return PostgresCarrier()
    return LocalCarrier()


def _database() -> str:
    return router.db_for_write(TurnEvent)


wake_ups = WakeUps()

os.register_at_fork(after_in_child=wake_ups.forget_all)
