"""Writes the model's answer while it streams: text to the log, the whole to its message."""

import time
from uuid import UUID

from django.db import transaction

from .events import EventLog
from .models import Conversation, Message, ToolCall, TurnEvent

BATCH_SECONDS = 0.06
"""Text that arrives within this time of the last write waits for the next one; the first piece
of an answer never waits."""


class AnswerWriter:
    """One answer of the model. Its message's row is made with the first piece of text."""

    def __init__(self, log: EventLog, conversation: Conversation, turn_id: UUID) -> None:
        self._log = log
        self._message = Message(
            conversation=conversation, turn_id=turn_id, role=Message.Role.ASSISTANT
        )
        self._text: list[str] = []
        self._unwritten: list[str] = []
        self._written_at = 0.0

    def add(self, text: str) -> None:
        """Take a piece of text; write it now or with the next ones."""
        self._text.append(text)
        self._unwritten.append(text)
        now = time.monotonic()
        if now - self._written_at >= BATCH_SECONDS:
            self._written_at = now
            self._write()

    def complete(self, text: str, calls: list[ToolCall]) -> None:
        """Store the whole answer and its calls together, before any call is sent."""
        self._message.content = text
        with transaction.atomic():
            self._message.save()
            for call in calls:
                call.message = self._message
            ToolCall.objects.bulk_create(calls)
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
        with transaction.atomic():
            if self._message.pk is None:
                self._message.save()
            text = "".join(self._unwritten)
            self._log.append(TurnEvent.Kind.TEXT, message=self._message.pk, text=text)
        self._unwritten.clear()
