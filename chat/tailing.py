"""Reads the logs of all turns that are streamed by an event loop: one statement for all of them.

A thread of its own with one connection looks, at every wake-up and once in `POLL_SECONDS`. The
longer a look takes, the longer it waits for the next one, so that a thousand streams get larger
pieces instead of a later look. What needs more than the log is left to a few other threads.
"""

import asyncio
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID

from django.db import close_old_connections, connections

from automate_llm.garbage import sparing_collector

from .events import events_of_many
from .frames import Batch, TurnReader
from .models import Turn
from .wake_ups import POLL_SECONDS, wake_ups

logger = logging.getLogger(__name__)

READERS = 4
LONGEST_PAUSE = 0.01
AT_ONCE = 200
"""Streams in one statement, so that the first of them need not wait for a thousand others."""


class Follower:
    """One stream of a turn in an event loop; `next_batch` brings what is new until the end."""

    def __init__(self, reader: TurnReader, patience: float) -> None:
        self.reader = reader
        self.loop = asyncio.get_running_loop()
        self.looked_at = self.asked_at = 0.0
        self._patience = patience
        self._batch: Batch | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._waits_since = 0.0
        self._alarm: asyncio.TimerHandle | None = None

    async def next_batch(self) -> Batch | None:
        """What is new; nothing where `patience` seconds bring nothing."""
        if self._batch is None:
            self._waiter = self.loop.create_future()
            self._waits_since = self.loop.time()
            if self._alarm is None:  # one for many waits, as nearly all of them are short
                self._alarm = self.loop.call_later(self._patience, self._ring)
            await self._waiter
        batch, self._batch = self._batch, None
        return batch

    def deliver(self, batch: Batch) -> None:
        """To be called in the event loop."""
        self._batch = batch
        self._wake()

    def close(self) -> None:
        """To be called in the event loop, when nothing is awaited any more."""
        if self._alarm is not None:
            self._alarm.cancel()

    def _ring(self) -> None:
        left = self._waits_since + self._patience - self.loop.time()
        self._alarm = self.loop.call_later(left, self._ring) if left > 0 else None
        if left <= 0:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Tail:
    """Follows logs for any number of streams; its threads end with the last of them."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._followers: set[Follower] = set()
        self._woken: set[Follower] = set()
        self._busy: set[Follower] = set()
        self._thread: threading.Thread | None = None
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="chat-streams")

    @contextmanager
    def following(self, follower: Follower) -> Iterator[None]:
        """While the block lasts, the follower is given what is new, piece after piece."""
        with wake_ups.listen(follower.reader.turn_id, lambda: self._wake(follower)):
            with self._news:
                self._followers.add(follower)
                self._woken.add(follower)
                if self._thread is None:
                    name = "automate-tail"
                    self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                    self._thread.start()
                self._news.notify()
            try:
                with sparing_collector:
                    yield
            finally:
                follower.close()
                with self._news:
                    self._followers.discard(follower)
                    self._woken.discard(follower)
                    self._busy.discard(follower)
                    self._news.notify()

    def taken(self, follower: Follower) -> None:
        """The follower's last batch is out, and it may be given the next one."""
        with self._news:
            self._busy.discard(follower)
            if follower in self._woken:
                self._news.notify()

    def _wake(self, follower: Follower) -> None:
        with self._news:
            if follower in self._followers:
                self._woken.add(follower)
                self._news.notify()

    def _run(self) -> None:
        pause = 0.0
        away = False
        try:
            while chosen := self._next_look(pause):
                began = time.monotonic()
                try:
                    for start in range(0, len(chosen), AT_ONCE):
                        self._look(chosen[start : start + AT_ONCE])
                    away = False
                except Exception as exc:  # a thread that ended here would end all streams
                    if not away:
                        logger.warning("The logs of %s streams wait: %s", len(chosen), exc)
                    away = True
                    connections.close_all()
                    self._look_again(chosen)
                pause = POLL_SECONDS / 2 if away else min(LONGEST_PAUSE, time.monotonic() - began)
        finally:
            connections.close_all()

    def _next_look(self, pause: float) -> list[Follower]:
        """The streams to look at, when there are any; none when the last stream is closed."""
        if pause:
            time.sleep(pause)
        with self._news:
            while self._followers:
                due = time.monotonic() - POLL_SECONDS
                overdue = {each for each in self._followers if each.looked_at <= due}
                if chosen := (self._woken | overdue) - self._busy:
                    self._woken -= chosen
                    return list(chosen)
                self._news.wait(POLL_SECONDS / 4)
            self._thread = None
            return []

    def _look(self, chosen: Sequence[Follower]) -> None:
        now = time.monotonic()
        found = events_of_many([(each.reader.turn_id, each.reader.position) for each in chosen])
        delivered: defaultdict[asyncio.AbstractEventLoop, list[tuple[Follower, Batch]]]
        delivered = defaultdict(list)
        silent = []
        with self._news:
            self._busy |= set(chosen) & self._followers
        for place, follower in enumerate(chosen):
            follower.looked_at = now
            lines = found.get(place)
            if lines is None:
                silent.append(follower)
            elif follower.reader.takes_alone(lines):
                delivered[follower.loop].append((follower, follower.reader.take(lines)))
            else:
                self._pool.submit(self._read, follower)
        for loop, batches in delivered.items():
            _call(loop, batches)
        self._end_or_release(silent)

    def _end_or_release(self, silent: Sequence[Follower]) -> None:
        """Streams without news end where their turn has, which the log may not say.

        It is asked once in `POLL_SECONDS`: many a wake-up tells what the look before it has seen.
        """
        now = time.monotonic()
        asked = [each for each in silent if each.asked_at <= now - POLL_SECONDS]
        over: set[UUID] = set()
        if asked:
            over = {each.reader.turn_id for each in asked}
            going_on = Turn.objects.unfinished().filter(pk__in=over)
            over.difference_update(going_on.values_list("pk", flat=True))
        for follower in asked:
            follower.asked_at = now
        for follower in silent:
            if follower.reader.turn_id in over:
                self._pool.submit(self._read, follower)
            else:
                self.taken(follower)

    def _read(self, follower: Follower) -> None:
        """What needs rows, or the rendering of a whole message; in a thread of the pool."""
        close_old_connections()
        try:
            batch = follower.reader.read()
        except Exception as exc:  # nobody asks what a thread of the pool raised
            logger.warning("A stream of turn %s waits: %s", follower.reader.turn_id, exc)
            connections.close_all()
            self._look_again([follower])
        else:
            if batch.frames or batch.ended:
                _call(follower.loop, [(follower, batch)])
            else:
                self.taken(follower)
        finally:
            close_old_connections()

    def _look_again(self, followers: Sequence[Follower]) -> None:
        with self._news:
            self._busy -= set(followers)

    def forget_all(self) -> None:
        """What a forked process does: its parent's threads are not there."""
        self.__init__()  # type: ignore[misc]


def _call(loop: asyncio.AbstractEventLoop, batches: Sequence[tuple[Follower, Batch]]) -> None:
    def deliver() -> None:
        for follower, batch in batches:
            follower.deliver(batch)

    try:
        loop.call_soon_threadsafe(deliver)
    except RuntimeError:  # the loop was closed, and its streams with it
        return


tail = Tail()

os.register_at_fork(after_in_child=tail.forget_all)
