"""Writes the model's answer while it streams: text to the log, the whole to its message."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from uuid import UUID

from django.db import connection

from automate.statements import insert_rows

from .events import EventLog, NewEvent
from .models import Approval, Conversation, Message, ToolCall, TurnEvent
from .records import record_calls
from .scribe import scribe, store_messages

SETTLE_SECONDS = 5.0
"""How long the whole answer waits for its last text, where the database is slow to take it."""


class AnswerWriter:
    """One answer of the model: its text is written by the scribe, the whole by the turn's thread.

    The scribe also makes the message's row, together with the first text. `fence` raises where the
    turn is no longer this process's; the answer is then not stored.
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
        self.message = Message(
            conversation=conversation, turn_id=turn_id, role=Message.Role.ASSISTANT
        )
        self.has_begun = False
        self.is_awaited = True
        self.taken_at = 0.0
        # The scribe cannot see what a transaction of this thread has not committed; and who could
        # read the text before it is?
        self._is_hidden = connection.in_atomic_block
        self._text: list[str] = []
        self._unwritten: list[str] = []
        self._is_on_its_way = False
        self._settled = threading.Condition()

    def streaming(self) -> AbstractContextManager[None]:
        """To be held while text may come."""
        return nullcontext() if self._is_hidden else scribe.expecting()

    def add(self, text: str) -> None:
        """Take a piece of text, in any thread; the first is written at once, others with more."""
        with self._settled:
            self._text.append(text)
            self._unwritten.append(text)
        if not self._is_hidden:
            scribe.hand(self)

    def take(self) -> NewEvent | None:
        """The unwritten text as a row, for the scribe, which adds the key of the message."""
        with self._settled:
            if not self._unwritten:
                return None
            text = "".join(self._unwritten)
            self._unwritten.clear()
            self._is_on_its_way = True
            return self._log.numbered(TurnEvent.Kind.TEXT, {"text": text})

    def settle(self, *, written: bool) -> None:
        """What was taken is written, or given up."""
        with self._settled:
            self.has_begun = self.has_begun or written
            self._is_on_its_way = False
            self._settled.notify_all()

    def complete(
        self,
        text: str,
        calls: list[ToolCall],
        approvals: Sequence[Approval] = (),
        *,
        fence: Callable[[], None] | None = None,
        news: Sequence[tuple[TurnEvent.Kind, dict[str, Any]]] = (),
        also: Callable[[], None] = lambda: None,
    ) -> None:
        """Store the whole answer, its calls and what they wait for, before any call is sent.

        In the same transaction `fence` comes first, in place of the answer's own; the events in
        `news` follow its events, and `also` comes last.
        """
        with self._settled:
            self._unwritten.clear()
            self.is_awaited = False
            # A row that is being made is waited for, so that there is no second one.
            seconds = SETTLE_SECONDS if self.has_begun else None
            self._settled.wait_for(lambda: not self._is_on_its_way, seconds)
        self.message.content = text

        def store() -> None:
            (fence or self._fence)()
            self._store(calls, approvals, news)
            also()

        self._log.commit(store)

    def break_off(self) -> None:
        """Keep the text so far, marked; nothing is kept where there is none."""
        if self._text:
            self.message.interrupted = True
            self.complete("".join(self._text), [])

    def _store(
        self,
        calls: list[ToolCall],
        approvals: Sequence[Approval],
        news: Sequence[tuple[TurnEvent.Kind, dict[str, Any]]],
    ) -> None:
        store_messages([self.message])
        for call in calls:
            call.message = self.message
        insert_rows(calls)
        record_calls([call for call in calls if call.finished])
        for approval in approvals:  # an earlier try's keys were rolled back
            approval.pk, approval.call = None, approval.call
        if approvals:
            Approval.objects.bulk_create(approvals)
        self._log.append_all(
            [
                (TurnEvent.Kind.MESSAGE, {"message": self.message.pk}),
                *((TurnEvent.Kind.CALL, {"call": call.pk}) for call in calls),
                *news,
            ]
        )
