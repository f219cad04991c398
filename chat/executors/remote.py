"""What the executors with workers of their own share: ids are handed over, and nobody waits."""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from queue import SimpleQueue
from uuid import UUID

from django.db import close_old_connections, connections

from chat.models import Turn

from .upkeep import Upkeep

logger = logging.getLogger(__name__)


class RemoteExecutor(ABC):
    """Hands the ids of turns to workers, from a thread of its own, and runs none here.

    So nobody waits for a broker that is away, and no request fails for it: the turn stays in line
    in its row, and a later sweep hands it over.
    """

    name: str
    in_process = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: SimpleQueue[UUID | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._upkeep = Upkeep(self.name, self.hand_over)

    @abstractmethod
    def publish(self, turn_id: UUID) -> None:
        """Give this id to the workers, or raise whatever hinders it, within seconds."""

    def start(self) -> None:
        """Begin to hand over, and to sweep."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._publish_for_ever, name="automate-hand-over", daemon=True
                )
                self._thread.start()
        self._upkeep.start()

    def start_as_worker(self) -> None:
        """Begin, in a process to which the workers' library brings turns."""
        self.start()
        self._upkeep.start_as_worker()

    def submit(self, turn_id: UUID) -> None:
        """Hand this turn over as soon as may be."""
        self.start()
        self._queue.put(turn_id)

    def stop(self) -> None:
        """Hand over what stands in line here, then end."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()
        self._upkeep.stop()

    def hand_over(self, turns: Iterable[Turn]) -> int:
        """Give workers those that were handed over a lease ago or earlier, and still wait.

        Returns how many there were; it ends with the first that could not be handed over.
        """
        handed_over = 0
        for turn in turns:
            if turn.resubmit():
                if not self._published(turn.pk):
                    break
                handed_over += 1
        return handed_over

    def _publish_for_ever(self) -> None:
        while (turn_id := self._queue.get()) is not None:
            if not self._published(turn_id):
                self._forget_waiting()
            if self._queue.empty():
                connections.close_all()
        connections.close_all()

    def _published(self, turn_id: UUID) -> bool:
        try:
            close_old_connections()
            self.publish(turn_id)
        except Exception as exc:
            # Any library's error may come here. Its text may hold the broker's password.
            logger.warning(
                "Turn %s stays in line: it could not be handed to %s (%s)",
                turn_id,
                self.name,
                type(exc).__name__,
            )
            return False
        return True

    def _forget_waiting(self) -> None:
        """Leave to the sweep what came while a broker that is away was waited for."""
        while not self._queue.empty():
            if self._queue.get() is None:
                self._queue.put(None)
                return
