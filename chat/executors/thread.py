"""Turns in a bounded pool of threads inside the web process: nothing to install or to start."""

import logging
import os
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import ParamSpec
from uuid import UUID

from django.db import close_old_connections

from automate.conf import conf
from chat.engine import run_turn
from chat.models import LEASE, Turn
from chat.recovery import interrupt_abandoned

logger = logging.getLogger(__name__)

P = ParamSpec("P")


class ThreadExecutor:
    """Daemon threads: a process that ends does not wait for them, their turns' leases run out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: SimpleQueue[UUID] = SimpleQueue()
        self._pid = 0

    def start(self) -> None:
        """Start the threads of this process, also after a fork, and sweep."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._queue = SimpleQueue()
            self._pid = os.getpid()
            for number in range(max(1, conf().EXECUTOR_THREADS)):
                name = f"automate-turns-{number}"
                threading.Thread(
                    target=self._work, args=(number == 0,), name=name, daemon=True
                ).start()

    def submit(self, turn_id: UUID) -> None:
        """Run this turn as soon as a thread is free."""
        self.start()
        self._queue.put(turn_id)

    def _work(self, sweeps: bool) -> None:
        queue = self._queue
        if sweeps:
            self._guarded(self._sweep)
        while True:
            try:
                turn_id = queue.get(timeout=LEASE.total_seconds() if sweeps else None)
            except Empty:
                self._guarded(self._sweep)
            else:
                self._guarded(run_turn, turn_id)

    def _sweep(self) -> None:
        interrupt_abandoned()
        for turn_id in Turn.objects.filter(status=Turn.Status.QUEUED).values_list("pk", flat=True):
            self._queue.put(turn_id)

    def _guarded(self, job: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        close_old_connections()
        try:
            job(*args, **kwargs)
        except Exception:
            # A turn's own failures are stored by `run_turn`; what comes here is the database's.
            logger.exception("A turn's thread met an error and goes on")
        finally:
            close_old_connections()
