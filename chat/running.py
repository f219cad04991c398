"""The turns that this process runs now: their signs of life, and how to stop one."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import close_old_connections, connections

from automate_llm.cancellation import Cancellation

from .models import LEASE, Turn

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.4
"""How often it is looked for stops that were asked for in another process."""

_RENEW_SECONDS = LEASE.total_seconds() / 3


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """One turn under way. Cancelling it closes the model's stream and the tools' requests."""

    turn_id: UUID
    owner: UUID
    seconds: float
    started: float = field(default_factory=time.monotonic)
    cancellation: Cancellation = field(default_factory=Cancellation)

    @property
    def out_of_time(self) -> bool:
        """Whether the turn has used all the seconds that it may run."""
        return time.monotonic() - self.started >= self.seconds


_lock = threading.Condition()
_turns: dict[UUID, Running] = {}
_watching = False


@contextmanager
def running(turn_id: UUID, owner: UUID, seconds: float) -> Iterator[Running]:
    """While the block runs, the turn's lease is renewed, and `cancel` or time can stop it."""
    global _watching
    this = Running(turn_id, owner, seconds)
    with _lock:
        _turns[turn_id] = this
        if not _watching:
            _watching = True
            threading.Thread(target=_watch, name="automate-watch", daemon=True).start()
    try:
        yield this
    finally:
        with _lock:
            del _turns[turn_id]
            _lock.notify()


def cancel(turn_id: UUID) -> None:
    """Close what the turn waits for, if it runs in this process."""
    with _lock:
        this = _turns.get(turn_id)
    if this is not None:
        this.cancellation.cancel()


def _watch() -> None:
    """Runs in a thread of its own while this process has turns."""
    global _watching
    renewed = time.monotonic()
    while True:
        with _lock:
            _lock.wait_for(lambda: not _turns, timeout=LOOK_SECONDS)
            if not _turns:
                _watching = False
                return
            turns = list(_turns.values())
        for this in turns:
            if this.out_of_time:
                this.cancellation.cancel()
        due = time.monotonic() - renewed >= _RENEW_SECONDS
        try:
            _look(turns, renew=due)
        except DatabaseError:
            # The database may be away for a moment; the next look finds what this one missed.
            logger.warning("Turns could not be looked after", exc_info=True)
        else:
            renewed = time.monotonic() if due else renewed


def _look(turns: list[Running], *, renew: bool) -> None:
    close_old_connections()
    try:
        ours = Turn.objects.held_by([this.owner for this in turns])
        for turn_id in ours.filter(cancel_requested=True).values_list("pk", flat=True):
            cancel(turn_id)
        if renew:
            ours.renew()
    finally:
        connections.close_all()


def _after_fork() -> None:
    """A forked process has none of its parent's turns, and none of its threads."""
    global _lock, _watching
    _lock, _watching = threading.Condition(), False
    _turns.clear()


os.register_at_fork(after_in_child=_after_fork)
