"""Questions of servers that hold a call until their person answers.

So do servers of the versions before 2026-07-28. A question is a row as any other is, answered in
any tab or process; it is over with its call, and nobody can answer it tomorrow.
Source: MCP 2025-11-25, client/elicitation.
"""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field

from django.utils import timezone

from automate.conf import Settings
from automate.databases import short_transaction
from automate_llm.values import InputAnswer, InputRequest, OnQuestion

from .asking import can_be_asked, question_of
from .connections import lasting
from .events import EventLog
from .models import Question, ToolCall, TurnEvent
from .running import Running
from .signals import announce, question_answered, question_asked

LOOK_SECONDS = 0.5
"""How often it is looked whether somebody has answered, while a question is open."""

MAX_QUESTIONS = 10
"""Questions of one call; more are declined."""

DISMISSED = InputAnswer("cancel")
DECLINED = InputAnswer("decline")


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A question on its way from a call's thread to the turn's, and the answer on its way back."""

    request: InputRequest
    answer: "Future[InputAnswer]" = field(default_factory=Future)

    def give(self, answer: InputAnswer) -> None:
        """Let the call go on; a second answer changes nothing."""
        with suppress(InvalidStateError):
            self.answer.set_result(answer)


class HeldQuestions:
    """The open questions of one turn's calls. All but `asking` belongs to the turn's thread.

    `fence` raises where the turn is no longer this process's.
    """

    def __init__(
        self, log: EventLog, fence: Callable[[], None], this: Running, settings: Settings
    ) -> None:
        self._log = log
        self._fence = fence
        self._this = this
        self._seconds = settings.HELD_QUESTION_SECONDS
        self._asked: Counter[int] = Counter()
        self._open: dict[int, tuple[ToolCall, Asked]] = {}
        self._over: set[int] = set()
        self._looked_at = 0.0
        self._is_anybody_there = True

    @property
    def due_in(self) -> float | None:
        """Seconds until the next `look`; nothing while no question is open."""
        if not self._open:
            return None
        return max(0.0, self._looked_at + LOOK_SECONDS - time.monotonic())

    def may_come(self, call: ToolCall) -> bool:
        """Whether the call's server may hold it for a question."""
        return self._seconds > 0 and call.tool is not None and call.tool.server.may_hold_calls

    def asking(self, call: ToolCall, tell: Callable[[Asked], None]) -> OnQuestion | None:
        """What the client of this call asks with, in the call's threads; `tell` brings the question
        to the turn's, whose time stands still until the answer is there.
        """
        if not self.may_come(call):
            return None

        def ask(request: InputRequest) -> InputAnswer:
            asked = Asked(request)
            take_back = self._this.cancellation.on_cancel(lambda: asked.give(DISMISSED))
            try:
                with self._this.countdown.held():
                    tell(asked)
                    return asked.answer.result()
            finally:
                take_back()

        return ask

    def ask(self, call: ToolCall, asked: Asked) -> None:
        """Store the question, and show it."""
        request = asked.request
        if call.pk in self._over:
            asked.give(DISMISSED)
            return
        self._asked[call.pk] += 1
        is_one_too_many = self._asked[call.pk] > MAX_QUESTIONS
        if is_one_too_many or not self._is_anybody_there or not can_be_asked(request):
            asked.give(DECLINED)
            return
        key = f"{call.attempts}.{self._asked[call.pk]}"
        question = question_of(call, request, round_=Question.HELD, key=key, seconds=self._seconds)

        def store() -> None:
            self._fence()
            question.pk = None
            question.save(force_insert=True)
            self._log.append_all(
                [(TurnEvent.Kind.CALL, {"call": call.pk}), (TurnEvent.Kind.WAITING, {})]
            )

        self._log.commit(store)
        self._open[question.pk] = call, asked
        announce(question_asked, question)

    def look_if_due(self) -> None:
        """Look, where it was not done for `LOOK_SECONDS`."""
        if self.due_in == 0.0:
            self.look()

    def look(self) -> None:
        """Hand over what was answered, and end what nobody answered in time."""
        lasting(self._look)
        self._looked_at = time.monotonic()

    def withdraw(self, call: ToolCall) -> None:
        """Close what is still open of a call that is over; what was answered is handed over."""
        self._over.add(call.pk)
        if any(of.pk == call.pk for of, _asked in self._open.values()):
            self.look()
        over = [key for key, (of, _asked) in self._open.items() if of.pk == call.pk]
        if not over:
            return

        def store() -> None:
            with short_transaction():
                self._fence()
                Question.objects.filter(pk__in=over).withdraw()

        lasting(store)
        for key in over:
            _call, asked = self._open.pop(key)
            asked.give(DISMISSED)

    def _look(self) -> None:
        rows = Question.objects.in_bulk(self._open)
        for key, (call, asked) in list(self._open.items()):
            row = rows.get(key)
            if row is not None and row.status == Question.Status.WAITING:
                if row.expires_at > timezone.now() or not row.answer(Question.Status.EXPIRED):
                    continue  # if it was answered just now, the next look finds it
                announce(question_answered, row)
            if row is not None and row.status == Question.Status.EXPIRED:
                self._is_anybody_there = False  # nor waits the turn for a second question
            self._log.append(TurnEvent.Kind.CALL, call=call.pk)
            del self._open[key]
            # One that is gone was deleted with its conversation.
            asked.give(DISMISSED if row is None else row.as_answer())
