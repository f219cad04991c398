"""Who waits for news of one turn, in a thread or in an event loop."""

import asyncio
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


class AsyncListener:
    """Waits in an event loop for news of one turn; `wake` may be called from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def wake(self) -> None:
        """There is news."""
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:  # the loop was closed while the writer went on
            return

    async def wait(self, seconds: float = POLL_SECONDS) -> None:
        """Return at the next news, or after that many seconds."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return
        finally:
            self._event.clear()
