"""Writes the model's answer while it streams: text to the log, the whole to its message."""

import threading
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import transaction

from .events import EventLog
from .models import Approval, Conversation, Message, ToolCall, TurnEvent

BATCH_SECONDS = 0.06
"""Text that arrives within this time of the last write waits for the next piece, or for
`write_late`; the first piece of an answer never waits."""


class AnswerWriter:
    """One answer of the model. Its message's row is made with the first piece of text.

    `fence` raises where the turn is no longer this process's; the answer is then not stored. Only
    `write_late` may be called from another thread than the turn's.
    """

    def __init__(
        self,
        log: EventLog,
        conversation: Conversation,
        turn_id: UUID,
        fence: Callable[[], None],
    ) -> None:
        self._log = log
        self._fence = fence
        self._message = Message(
            conversation=conversation, turn_id=turn_id, role=Message.Role.ASSISTANT
        )
        self._text: list[str] = []
        self._unwritten: list[str] = []
        self._written_at = 0.0
        self._begun = False
        self._lock = threading.Lock()

    def add(self, text: str) -> None:
        """Take a piece of text; write it now or with the next ones."""
        with self._lock:
            self._text.append(text)
            self._unwritten.append(text)
            if time.monotonic() - self._written_at >= BATCH_SECONDS:
                self._write()

    def write_late(self) -> None:
        """Write what waits for a next piece that does not come."""
        with self._lock:
            if not self._begun or not self._unwritten:
                return
            try:
                self._write()
            except DatabaseError:  # it is written with the next piece, or fails there
                return

    def complete(
        self, text: str, calls: list[ToolCall], approvals: Sequence[Approval] = ()
    ) -> None:
        """Store the whole answer, its calls and what they wait for, before any call is sent."""
        with self._lock:
            self._unwritten.clear()
        self._message.content = text
        with transaction.atomic():
            self._fence()
            self._message.save()
            for call in calls:
                call.message = self._message
            ToolCall.objects.bulk_create(calls)
            if approvals:
                Approval.objects.bulk_create(approvals)
            self._log.append_all(
                [
                    (TurnEvent.Kind.MESSAGE, {"message": self._message.pk}),
                    *((TurnEvent.Kind.CALL, {"call": call.pk}) for call in calls),
                ]
            )

    def break_off(self) -> None:
        """Keep the text so far, marked; nothing is kept where there is none."""
        if self._text:
            self._message.interrupted = True
            self.complete("".join(self._text), [])

    def _write(self) -> None:
        self._written_at = time.monotonic()
        with transaction.atomic():
            if self._message.pk is None:
                self._message.save()
                # Only what is committed can be added to by another thread.
                transaction.on_commit(self._begin)
            text = "".join(self._unwritten)
            self._log.append(TurnEvent.Kind.TEXT, message=self._message.pk, text=text)
        self._unwritten.clear()

    def _begin(self) -> None:
        self._begun = True
