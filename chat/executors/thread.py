"""Turns in a bounded pool of threads inside the web process: nothing to install or to start."""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import ParamSpec
from uuid import UUID

from django.db import close_old_connections, connections

from automate.conf import conf
from chat.engine import run_turn
from chat.models import LEASE
from chat.sweeping import sweep

logger = logging.getLogger(__name__)

P = ParamSpec("P")


class ThreadExecutor:
    """Daemon threads: a process that ends does not wait for them, their turns' leases run out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: SimpleQueue[UUID | None] = SimpleQueue()
        self._waiting: set[UUID] = set()
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start the threads, the first of which sweeps."""
        if self._threads:
            return
        with self._lock:
            if self._threads:
                return
            jobs = {f"automate-turns-{each}": self._work for each in range(_threads())}
            for name, job in ({"automate-sweep": self._sweep_for_ever} | jobs).items():
                self._threads.append(threading.Thread(target=job, name=name, daemon=True))
            for thread in self._threads:
                thread.start()

    def stop(self) -> None:
        """Begin no more turns; returns when those under way have ended."""
        self._stopping.set()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def submit(self, turn_id: UUID) -> None:
        """Run this turn as soon as a thread is free; one that is in line already stays there."""
        self.start()
        with self._lock:
            if turn_id not in self._waiting:
                self._waiting.add(turn_id)
                self._queue.put(turn_id)

    def _work(self) -> None:
        while (turn_id := self._queue.get()) is not None and not self._stopping.is_set():
            with self._lock:
                self._waiting.discard(turn_id)
            self._guarded(run_turn, turn_id)
        connections.close_all()

    def _sweep_for_ever(self) -> None:
        # A thread of its own: on a busy site, those that run turns are never idle.
        while not self._stopping.is_set():
            self._guarded(self._sweep)
            connections.close_all()
            self._stopping.wait(LEASE.total_seconds())

    def _sweep(self) -> None:
        for turn in sweep():
            self.submit(turn.pk)

    def _guarded(self, job: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        close_old_connections()
        try:
            job(*args, **kwargs)
        except Exception:
            # A turn's own failures are stored by `run_turn`; what comes here is the database's.
            logger.exception("A turn's thread met an error and goes on")
        finally:
            close_old_connections()


def _threads() -> int:
    return max(1, conf().EXECUTOR_THREADS)
