"""How many answers of models stream at once in this process, and what that asks of each."""

import threading

FEW_STREAMS = 50
"""Up to so many streams at once, nothing waits."""

PAUSE_FOR_EACH = 0.00015
LONGEST_PAUSE = 0.15


class Crowd:
    """Counts the streams under way in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def enter(self) -> None:
        with self._lock:
            self._count += 1

    def leave(self) -> None:
        with self._lock:
            self._count -= 1

    @property
    def pause(self) -> float:
        """Seconds that each stream waits before it reads on, so that several words come in one."""
        return min(LONGEST_PAUSE, max(0, self._count - FEW_STREAMS) * PAUSE_FOR_EACH)


crowd = Crowd()
