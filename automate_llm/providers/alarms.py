"""Alarms that are nearly always taken back: one thread for all, where a timer has its own."""

import threading
import time
from collections import deque
from collections.abc import Callable

IDLE_SECONDS = 1.0
"""After so long without an alarm the thread ends."""


class Alarm:
    """One alarm."""

    __slots__ = ("_due", "_job")

    def __init__(self, due: float, job: Callable[[], object]) -> None:
        self._due = due
        self._job: Callable[[], object] | None = job

    @property
    def due(self) -> float:
        """When it rings, on the monotonic clock."""
        return self._due

    def cancel(self) -> None:
        """Do not ring, if it has not rung yet."""
        self._job = None

    def ring(self) -> None:
        """Do its job, unless it was taken back."""
        if (job := self._job) is not None:
            job()


class Alarms:
    """Rings each alarm the same number of seconds after it was set. Thread-safe."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.forget_all()

    def forget_all(self) -> None:
        """Start anew; a forked process has no thread of its parent's."""
        self._news = threading.Condition()
        self._set: deque[Alarm] = deque()
        self._is_running = False

    def ring(self, job: Callable[[], object]) -> Alarm:
        """Call `job` in a while, from another thread, unless the alarm is cancelled by then."""
        alarm = Alarm(time.monotonic() + self._seconds, job)
        with self._news:
            self._set.append(alarm)
            if not self._is_running:
                self._is_running = True
                name = "automate-alarms"
                threading.Thread(target=self._run, name=name, daemon=True).start()
            elif len(self._set) == 1:
                self._news.notify()
        return alarm

    def _run(self) -> None:
        while True:
            with self._news:
                if not self._news.wait_for(lambda: self._set, IDLE_SECONDS):
                    self._is_running = False
                    return
                alarm = self._set.popleft()
            if (wait := alarm.due - time.monotonic()) > 0:
                time.sleep(wait)
            alarm.ring()
