"""What each process with an executor does from time to time, in a thread of its own."""

import atexit
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable

from django.db import close_old_connections, connections

from chat.models import Turn, Worker, lease
from chat.running import turns_running
from chat.sweeping import sweep

logger = logging.getLogger(__name__)

_BEATS_PER_LEASE = 3
_SECONDS_TO_END = 5.0


class Upkeep:
    """Sweeps at once and then once in every lease; in a process that runs turns, says it lives.

    `hand_over` is given the turns that a sweep found in line. The sign of life is a `Worker` row,
    which goes when the process ends in order; that of a killed one is cleared by a later sweep.
    """

    def __init__(self, executor: str, hand_over: Callable[[Iterable[Turn]], object]) -> None:
        self.is_worker = False
        self._executor = executor
        self._hand_over = hand_over
        self._id = uuid.uuid4()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, unless it has begun."""
        with self._lock:
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(
                    target=self._run, name="automate-upkeep", daemon=True
                )
                self._thread.start()
                atexit.register(self.stop)

    def start_as_worker(self) -> None:
        """Begin, in a process that runs turns."""
        self.is_worker = True
        self.start()
        self._wake.set()

    def stop(self) -> None:
        """End it, and take the process's row away."""
        self._stopping = True
        self._wake.set()
        atexit.unregister(self.stop)
        if self._thread is not None:
            self._thread.join(_SECONDS_TO_END)

    def _run(self) -> None:
        swept: float | None = None
        while not self._stopping:
            if self.is_worker:
                self._guarded(self._beat)
            if swept is None or time.monotonic() - swept >= lease().total_seconds():
                swept = time.monotonic()
                self._guarded(self._sweep)
            connections.close_all()
            self._wake.wait(lease().total_seconds() / _BEATS_PER_LEASE)
            self._wake.clear()
        if self.is_worker:
            self._guarded(self._sign_off)
        connections.close_all()

    def _beat(self) -> None:
        Worker.objects.beat(
            self._id,
            name=f"{socket.gethostname()}:{os.getpid()}",
            executor=self._executor,
            running=turns_running(),
        )

    def _sign_off(self) -> None:
        Worker.objects.filter(pk=self._id).delete()

    def _sweep(self) -> None:
        self._hand_over(sweep().queued)

    def _guarded(self, job: Callable[[], object]) -> None:
        try:
            close_old_connections()
            job()
        except Exception:
            # The database may be away for a moment; the next look finds what this one missed.
            logger.warning("The upkeep of turns met an error and goes on", exc_info=True)
