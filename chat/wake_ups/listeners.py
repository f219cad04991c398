"""Who waits for news of one turn in a thread."""

import threading

POLL_SECONDS = 1.0
"""How long a reader waits for a wake-up before it looks by itself."""


class ThreadListener:
    """Waits in a thread for news of one turn."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def wake(self) -> None:
        """There is news."""
        self._event.set()

    def wait(self, seconds: float = POLL_SECONDS) -> None:
        """Return at the next news, or after that many seconds."""
        self._event.wait(seconds)
        self._event.clear()
