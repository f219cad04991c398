"""The turns that this process runs now: their signs of life, and how to stop one."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from django.db import connections

from automate_llm.cancellation import Cancellation
from automate_llm.countdown import Countdown

from .models import Turn, lease
from .wake_ups import STOP, wake_ups

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.4
"""How often it is looked for stops that were asked for in another process, where no wake-up says
so at once."""

_RENEWALS_PER_LEASE = 3


@dataclass(slots=True, eq=False)
class Running:
    """One turn under way. Cancelling it closes the model's stream and the tools' requests."""

    turn_id: UUID
    owner: UUID
    seconds: float
    countdown: Countdown
    cancellation: Cancellation = field(default_factory=Cancellation)
    was_seen: bool = False

    @property
    def out_of_time(self) -> bool:
        """Whether the turn has used all the seconds that it may run."""
        return self.countdown.left() <= 0


_lock = threading.Condition()
# By owner: a run that was taken for dead may meet the next one of its turn in its own process.
_turns: dict[UUID, Running] = {}
_watcher: threading.Thread | None = None
_stop_wanted = False


@contextmanager
def running(turn_id: UUID, owner: UUID, seconds: float) -> Iterator[Running]:
    """While the block runs, the turn's lease is renewed, and `cancel` or time can stop it.

    At its end, whatever the turn still waits for is closed.
    """
    global _watcher
    this = Running(turn_id, owner, seconds, Countdown(seconds))
    with _lock:
        if _watcher is None or not _watcher.is_alive():
            _watcher = threading.Thread(target=_watch, name="automate-watch", daemon=True)
            _watcher.start()
        _turns[owner] = this
    try:
        with wake_ups.listen(turn_id, _look_at_once, STOP):
            yield this
    finally:
        this.cancellation.cancel()
        with _lock:
            del _turns[owner]


def cancel(turn_id: UUID) -> None:
    """Close what the turn waits for, in whichever process it runs."""
    with _lock:
        here = [this for this in _turns.values() if this.turn_id == turn_id]
    for this in here:
        this.cancellation.cancel()
    if not here:
        wake_ups.announce([turn_id], STOP)


def _look_at_once() -> None:
    """Another process asked for a stop; the rows say whether that is so, and of which turn."""
    global _stop_wanted
    with _lock:
        _stop_wanted = True
        _lock.notify_all()


def _is_stop_wanted() -> bool:
    return _stop_wanted


def turns_running() -> int:
    """How many turns this process runs now."""
    return len(_turns)


def _watch() -> None:
    """Runs in a thread of its own while this process has turns, and until the next look after.

    It keeps its connection, so that it need not stand in line behind the turns for one.
    """
    try:
        _look_again_and_again()
    finally:
        connections.close_all()


def _look_again_and_again() -> None:
    global _watcher, _stop_wanted
    renewed = time.monotonic()
    is_away = False
    while True:
        with _lock:
            _lock.wait_for(_is_stop_wanted, timeout=LOOK_SECONDS)
            _stop_wanted = False
            if not _turns:
                _watcher = None
                return
            turns = list(_turns.values())
        try:
            due = time.monotonic() - renewed >= lease().total_seconds() / _RENEWALS_PER_LEASE
            _look(turns, renew=due)
        except Exception:
            # The database may be away for a moment; the next look finds what this one missed. A
            # watch that ended here would cost every turn of the process its lease.
            if not is_away:
                logger.warning("Turns could not be looked after", exc_info=True)
            is_away = True
            connections.close_all()
        else:
            is_away = False
            renewed = time.monotonic() if due else renewed


def _look(turns: list[Running], *, renew: bool) -> None:
    for this in turns:
        if this.out_of_time:
            this.cancellation.cancel()
    rows = Turn.objects.filter(pk__in=[this.turn_id for this in turns])
    stand = {row[0]: row[1:] for row in rows.values_list("pk", "lease_owner", "cancel_requested")}
    for this in turns:
        this.was_seen = this.was_seen or this.turn_id in stand
        # A row that was there, and is not any more, was deleted with its conversation.
        nothing = (None if this.was_seen else this.owner, False)
        owner, cancel_requested = stand.get(this.turn_id, nothing)
        # A turn that somebody took for abandoned is no longer ours to go on with.
        if cancel_requested or owner != this.owner:
            this.cancellation.cancel()
    if renew:
        Turn.objects.held_by([this.owner for this in turns]).renew()


def _after_fork() -> None:
    """A forked process has none of its parent's turns, and none of its threads."""
    global _lock, _watcher, _stop_wanted
    _lock, _watcher, _stop_wanted = threading.Condition(), None, False
    _turns.clear()


os.register_at_fork(after_in_child=_after_fork)
