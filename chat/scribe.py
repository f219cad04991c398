"""Writes the text of all answers under way in this process: one statement for many turns.

A thread of its own, with one connection, so that a turn's thread needs none while it waits for
its model. The more answers there are, the longer it gathers, so that its work stays bounded.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from itertools import islice
from typing import Protocol

from django.db import DEFAULT_DB_ALIAS, IntegrityError, connections, router
from django.db import Error as DatabaseError

from automate.databases import short_transaction
from automate.statements import insert_rows, update_rows

from .events import NewEvent, insert
from .models import Message, TurnEvent
from .wake_ups import wake_ups

logger = logging.getLogger(__name__)

BATCH_SECONDS = 0.06
"""How long the text of one answer is gathered after some of it was written."""

ROUND_SECONDS = 0.02
"""From one round to the next, at least; the first text of an answer does not wait for it."""

MOST_AT_ONCE = 200
"""Answers in one round, so that the text of the first does not wait long for that of the last, and
that of a thousand is gathered for longer.
"""

LONGEST_BACK_OFF = 2.0
GIVE_UP_SECONDS = 30.0
"""Text that the database does not take for so long is seen with its whole message only."""

IDLE_SECONDS = 1.0
"""After so long with neither text nor an answer that is expected, the thread ends, and its
connection with it.
"""


class Source(Protocol):
    """An answer whose text waits to be written."""

    message: Message
    has_begun: bool
    """Whether its message's row is made, which comes with its first text."""
    is_awaited: bool
    """Whether its text is still wanted, or the whole is about to be stored."""
    taken_at: float
    """When text was last taken, by the scribe's clock."""

    def take(self) -> NewEvent | None:
        """The text so far as a row, which is then on its way; nothing where there is none."""
        ...

    def settle(self, *, written: bool) -> None:
        """The row is written, or given up."""
        ...


Taken = tuple[Source, NewEvent]


class Scribe:
    """Takes answers that have text; a second time before the next round changes nothing."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._due: dict[int, Source] = {}
        self._has_first_text = False
        self._free_at = 0.0
        self._expected = 0
        self._thread: threading.Thread | None = None

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """While the block lasts the thread is there, and connected, and text need not wait for it.

        Where a thousand answers begin at once, every step of a thread waits for a thousand others.
        """
        with self._news:
            self._expected += 1
            self._have_thread()
        try:
            yield
        finally:
            with self._news:
                self._expected -= 1

    def hand(self, source: Source) -> None:
        """Have the text of this answer written soon; at once where it is the first."""
        if id(source) in self._due:
            return
        with self._news:
            self._due[id(source)] = source
            self._has_first_text = self._has_first_text or not source.has_begun
            self._have_thread()
            if self._has_first_text or len(self._due) == 1:
                self._news.notify()

    def _have_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="automate-scribe", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            with suppress(Exception):  # the first write meets it again, and says so
                connections[router.db_for_write(TurnEvent)].ensure_connection()
            while (sources := self._next_round()) is not None:
                taken = [(source, row) for source in sources if (row := source.take())]
                try:
                    self._write(taken)
                except Exception:
                    # Each text still comes with its whole message; that of others must go on.
                    logger.exception("Text of %s answers could not be written", len(taken))
                    _settle(taken, written=False)
                    connections.close_all()
        finally:
            connections.close_all()

    def _next_round(self) -> list[Source] | None:
        """The answers whose text is to be written now; nothing where there was none for long."""
        with self._news:
            while not self._news.wait_for(lambda: self._due, IDLE_SECONDS):
                if not self._expected:
                    self._thread = None
                    return None
            self._news.wait_for(lambda: self._has_first_text, self._free_at - time.monotonic())
            now = time.monotonic()
            due = now - BATCH_SECONDS
            waiting = (
                each for each in self._due.values() if not each.has_begun or each.taken_at <= due
            )
            ready = list(islice(waiting, MOST_AT_ONCE))
            for each in ready:
                each.taken_at = now
                del self._due[id(each)]
            left = self._due.values()
            self._has_first_text = not all(each.has_begun for each in left)
            oldest = min((each.taken_at for each in left), default=0.0)
            self._free_at = max(now + ROUND_SECONDS, oldest + BATCH_SECONDS)
            return ready

    def _write(self, taken: Sequence[Taken]) -> None:
        """Insert rows, though the database be away; one that cannot be stored is left out."""
        back_off = 0.05
        end = time.monotonic() + GIVE_UP_SECONDS
        while taken:
            try:
                _insert(taken, again=back_off > 0.05)
            except IntegrityError:
                # A conversation was deleted in the middle of its answer, perhaps.
                if len(taken) > 1:
                    for each in taken:
                        self._write([each])
                else:
                    _settle(taken, written=False)
                return
            except DatabaseError as exc:
                if back_off == 0.05:
                    logger.warning("Text of %s answers waits for the database: %s", len(taken), exc)
                connections.close_all()
                if time.monotonic() > end:
                    _settle(taken, written=False)
                    return
                time.sleep(back_off)
                back_off = min(back_off * 2, LONGEST_BACK_OFF)
                _settle([each for each in taken if not each[0].is_awaited], written=False)
                taken = [each for each in taken if each[0].is_awaited]
            else:
                _settle(taken, written=True)
                return

    def forget_all(self) -> None:
        """What a forked process does: its parent's thread is not there."""
        self.__init__()  # type: ignore[misc]


def store_messages(messages: Sequence[Message]) -> None:
    """Insert the rows of messages, or change those that an earlier try has inserted."""
    tried = [message for message in messages if message.pk is not None]
    insert_rows([message for message in messages if message.pk is None])
    for message in tried:
        written = {"content": message.content, "interrupted": message.interrupted}
        where = {"id": message.pk, "turn_id": message.turn_id}
        if not update_rows(Message, where, written):
            message.save(force_insert=True)


def _insert(taken: Sequence[Taken], *, again: bool) -> None:
    """Store the texts, and the messages that begin with them, all or none."""
    begun = [source.message for source, _ in taken if not source.has_begun]
    try:
        with short_transaction() if begun else nullcontext():
            store_messages(begun)
            for source, row in taken:
                row.data["message"] = source.message.pk
            rows = [row for _, row in taken]
            insert(rows, again=again)
            wake_ups.announce(list(dict.fromkeys(row.turn_id for row in rows)))
    except DatabaseError:
        if connections[DEFAULT_DB_ALIAS].vendor == "sqlite":
            # It gives the keys of what it rolls back to others.
            for message in begun:
                message.pk = None
        raise


def _settle(taken: Sequence[Taken], *, written: bool) -> None:
    for source, _ in taken:
        source.settle(written=written)


scribe = Scribe()

os.register_at_fork(after_in_child=scribe.forget_all)
