"""Writes the model's answer while it streams: text to the log, the whole to its message."""

import threading
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from django.db import transaction

from automate.databases import short_transaction
from automate.statements import insert_rows, update_rows

from .connections import lasting, let_go_of_database
from .events import EventLog
from .models import Approval, Conversation, Message, ToolCall, TurnEvent
from .records import record_calls
from .scribe import BATCH_SECONDS, scribe

SETTLE_SECONDS = 5.0
"""How long the whole answer waits for its last text, where the database is slow to take it."""


class AnswerWriter:
    """One answer of the model. Its message's row is made with the first piece of text.

    That piece is written at once, by the turn's own thread; the rest by the scribe. `fence` raises
    where the turn is no longer this process's; the answer is then not stored.
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
        self._is_on_its_way = False
        self._settled = threading.Condition()

    def add(self, text: str) -> None:
        """Take a piece of text; it is written now or with the next ones."""
        with self._settled:
            self._text.append(text)
            self._unwritten.append(text)
        if self._begun:
            scribe.hand(self)
        elif time.monotonic() - self._written_at >= BATCH_SECONDS:
            lasting(self._write)

    def take(self) -> TurnEvent | None:
        """The unwritten text as a row, for the scribe."""
        with self._settled:
            if not self._unwritten:
                return None
            text = "".join(self._unwritten)
            self._unwritten.clear()
            self._is_on_its_way = True
            data = {"message": self._message.pk, "text": text}
            return self._log.numbered(TurnEvent.Kind.TEXT, data)

    def settle(self) -> None:
        """What was taken is written."""
        with self._settled:
            self._is_on_its_way = False
            self._settled.notify_all()

    def complete(
        self, text: str, calls: list[ToolCall], approvals: Sequence[Approval] = ()
    ) -> None:
        """Store the whole answer, its calls and what they wait for, before any call is sent."""
        with self._settled:
            self._unwritten.clear()
            self._settled.wait_for(lambda: not self._is_on_its_way, SETTLE_SECONDS)
        self._message.content = text
        lasting(lambda: self._complete(calls, approvals))

    def break_off(self) -> None:
        """Keep the text so far, marked; nothing is kept where there is none."""
        if self._text:
            self._message.interrupted = True
            self.complete("".join(self._text), [])

    def _complete(self, calls: list[ToolCall], approvals: Sequence[Approval]) -> None:
        with short_transaction():
            self._fence()
            self._save_message()
            for call in calls:
                call.message = self._message
            insert_rows(calls)
            record_calls([call for call in calls if call.finished])
            if approvals:
                Approval.objects.bulk_create(approvals)
            self._log.append_all(
                [
                    (TurnEvent.Kind.MESSAGE, {"message": self._message.pk}),
                    *((TurnEvent.Kind.CALL, {"call": call.pk}) for call in calls),
                ]
            )

    def _write(self) -> None:
        """Write in the turn's own thread: the first piece, and all while its row is uncommitted."""
        self._written_at = time.monotonic()
        with short_transaction():
            if not self._begun:
                self._save_message()
                # Only what is committed can be added to by the scribe.
                transaction.on_commit(self._begin)
            text = "".join(self._unwritten)
            self._log.append(TurnEvent.Kind.TEXT, message=self._message.pk, text=text)
        self._unwritten.clear()
        let_go_of_database()

    def _save_message(self) -> None:
        message = self._message
        if message.pk is None:
            insert_rows([message])
            return
        written = {"content": message.content, "interrupted": message.interrupted}
        if not update_rows(Message, {"id": message.pk}, written):
            message.save(force_insert=True)  # what made it was rolled back

    def _begin(self) -> None:
        self._begun = True
