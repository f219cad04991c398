"""Writes the text of all answers under way in this process: one statement for many turns.

A thread of its own, with one connection, so that a turn's thread needs none while it waits for
its model. The more answers there are, the longer it gathers, so that its work stays bounded.
"""

import logging
import os
import threading
import time
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import IntegrityError, connections

from .events import insert
from .models import TurnEvent
from .wake_ups import wake_ups

logger = logging.getLogger(__name__)

BATCH_SECONDS = 0.06
"""Text that arrives within this time of the last round waits for the next one."""

SECONDS_FOR_EACH = 0.00015
"""What each answer in a round adds to the wait for the next one: 0.15 s for a thousand."""

LONGEST_BACK_OFF = 2.0
GIVE_UP_SECONDS = 30.0
"""Text that the database does not take for so long is seen with its whole message only."""

IDLE_SECONDS = 1.0
"""After so long without text the thread ends, and its connection with it."""


class Source(Protocol):
    """An answer whose text waits to be written."""

    def take(self) -> TurnEvent | None:
        """The text so far as a row, which is then on its way; nothing where there is none."""
        ...

    def settle(self) -> None:
        """The row is written, or nobody wants it any more."""
        ...


class Scribe:
    """Takes answers that have text; a second time before the next round changes nothing."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._due: dict[int, Source] = {}
        self._thread: threading.Thread | None = None

    def hand(self, source: Source) -> None:
        """Have the text of this answer written soon."""
        if id(source) in self._due:
            return
        with self._news:
            self._due[id(source)] = source
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="automate-scribe", daemon=True
                )
                self._thread.start()
            self._news.notify()

    def _run(self) -> None:
        free_at = 0.0
        try:
            while sources := self._next_round(free_at):
                began = time.monotonic()
                taken = [(source, row) for source in sources if (row := source.take())]
                try:
                    self._write([row for _, row in taken])
                except Exception:
                    # Each text still comes with its whole message; that of others must go on.
                    logger.exception("Text of %s answers could not be written", len(taken))
                    connections.close_all()
                for source, _ in taken:
                    source.settle()
                free_at = began + max(BATCH_SECONDS, len(taken) * SECONDS_FOR_EACH)
        finally:
            connections.close_all()

    def _next_round(self, free_at: float) -> list[Source]:
        with self._news:
            if not self._news.wait_for(lambda: self._due, IDLE_SECONDS):
                self._thread = None
                return []
        if (wait := free_at - time.monotonic()) > 0:
            time.sleep(wait)
        with self._news:
            sources, self._due = list(self._due.values()), {}
        return sources

    def _write(self, rows: Sequence[TurnEvent]) -> None:
        """Insert rows, though the database be away; one that cannot be stored is left out."""
        if not rows:
            return
        back_off = 0.05
        end = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                insert(rows, again=back_off > 0.05)
            except IntegrityError:
                # A conversation was deleted in the middle of its answer, perhaps.
                if len(rows) > 1:
                    for row in rows:
                        self._write([row])
                return
            except DatabaseError as exc:
                if back_off == 0.05:
                    logger.warning("Text of %s answers waits for the database: %s", len(rows), exc)
                connections.close_all()
                if time.monotonic() > end:
                    return
                time.sleep(back_off)
                back_off = min(back_off * 2, LONGEST_BACK_OFF)
            else:
                wake_ups.announce(list(dict.fromkeys(_turn_ids(rows))))
                return

    def forget_all(self) -> None:
        """What a forked process does: its parent's thread is not there."""
        self.__init__()  # type: ignore[misc]


def _turn_ids(rows: Sequence[TurnEvent]) -> list[UUID]:
    return [row.turn_id for row in rows]


scribe = Scribe()

os.register_at_fork(after_in_child=scribe.forget_all)
