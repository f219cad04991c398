"""Turns in a bounded pool of threads inside the web process: nothing to install or to start."""

import logging
import threading
from collections.abc import Iterable
from queue import SimpleQueue
from uuid import UUID

from django.db import close_old_connections, connections

from automate.conf import conf
from chat.engine import run_turn
from chat.models import Turn

from .upkeep import Upkeep

logger = logging.getLogger(__name__)


class ThreadExecutor:
    """Daemon threads: a process that ends does not wait for them, their turns' leases run out."""

    in_process = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: SimpleQueue[UUID | None] = SimpleQueue()
        self._waiting: set[UUID] = set()
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._upkeep = Upkeep("thread", self.take)

    def start(self) -> None:
        """Start the threads, and the upkeep beside them: on a busy site, no thread is ever idle."""
        if self._threads or self._stopping.is_set():
            return
        with self._lock:
            if self._threads:
                return
            for each in range(_threads()):
                name = f"automate-turns-{each}"
                self._threads.append(threading.Thread(target=self._work, name=name, daemon=True))
            for thread in self._threads:
                thread.start()
        self._upkeep.start_as_worker()

    def stop(self) -> None:
        """Begin no more turns; returns when those under way have ended."""
        self._stopping.set()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._upkeep.stop()

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
            self._run(turn_id)
        connections.close_all()

    def take(self, turns: Iterable[Turn]) -> None:
        """Run these turns, which a sweep found in line."""
        for turn in turns:
            self.submit(turn.pk)

    def _run(self, turn_id: UUID) -> None:
        close_old_connections()
        try:
            run_turn(turn_id)
        except Exception:
            # A turn's own failures are stored by `run_turn`; what comes here is the database's.
            logger.exception("A turn's thread met an error and goes on")
        finally:
            close_old_connections()


def _threads() -> int:
    return max(1, conf().EXECUTOR_THREADS)
