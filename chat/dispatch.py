"""Makes the calls of a turn: commits each as under way, sends it, commits what came of it."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import copy_context
from copy import copy
from dataclasses import asdict
from decimal import Decimal
from queue import Empty, SimpleQueue
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from automate.conf import Settings
from automate.models import MCPTool
from automate_llm.content import File
from automate_llm.exceptions import (
    AuthorizationRequired,
    CallCancelled,
    InputRequired,
    MCPClientError,
)
from automate_llm.mcp_client import MCPClient
from automate_llm.providers.base import RequestedCall
from automate_llm.results import model_text
from automate_llm.validation import validate_output
from automate_llm.values import InputAnswer, OnProgress, OnQuestion, Progress, ToolResult

from .arguments import canonical
from .asking import can_be_asked, question_of
from .checking import CallChecker
from .connections import let_go_of_database
from .events import EventLog
from .files import attach_files, keep_files
from .held_questions import DISMISSED, Asked, HeldQuestions
from .limits import TurnLimits
from .logs import logged_with
from .models import Approval, Question, ToolCall, Turn, TurnEvent
from .records import record_calls
from .running import Running
from .signals import announce, approval_requested, call_finished, call_started, question_asked
from .tracing import Tracer

Outcome = ToolResult | Exception
Status = ToolCall.Status

MAX_QUESTION_ROUNDS = 10
"""How often the server of one call may ask back."""

_PROGRESS_SECONDS = 0.1
"""A server's word on a call's progress that comes sooner after the last one is passed over."""


class Dispatcher:
    """The tool calls of one turn. All its rows are written by the thread that runs the turn.

    `fence` raises where the turn is no longer this process's; it belongs in the transaction after
    which a request leaves.
    """

    def __init__(
        self,
        turn: Turn,
        log: EventLog,
        limits: TurnLimits,
        this: Running,
        settings: Settings,
        fence: Callable[[], None],
        tracer: Tracer,
    ) -> None:
        self._turn = turn
        self._log = log
        self._cancellation = this.cancellation
        self._settings = settings
        self._fence = fence
        self._tracer = tracer
        self._checker = CallChecker(turn, limits, settings)
        self._at_once = max(1, settings.PARALLEL_CALLS)
        self._progress_at: dict[int, float] = {}
        self._answers: dict[int, Mapping[str, InputAnswer]] = {}
        self._held = HeldQuestions(log, fence, this, settings)

    def prepare(
        self, requested: Sequence[RequestedCall], cost: Decimal
    ) -> tuple[list[ToolCall], list[Approval]]:
        """The rows for calls and the approvals that they need, unsaved.

        They share the cost of the answer that asks for them.
        Those that `run` sends at once are marked as under way already. They must be stored before
        `run`; each further call is marked and stored when its turn comes.
        """
        calls, approvals = self._checker.checked(requested)
        for call in calls:
            call.cost = round(cost / len(calls), 6)
        pending = [call for call in calls if call.status == Status.PENDING]
        for call in pending[: self._at_once]:
            call.status, call.started_at, call.attempts = Status.RUNNING, timezone.now(), 1
        return calls, approvals

    def announce(self, calls: list[ToolCall], approvals: list[Approval]) -> None:
        """Tell who listens of these, now that they are stored."""
        for approval in approvals:
            announce(approval_requested, approval)
        for call in calls:
            _announce(call)

    def unfinished(self) -> list[ToolCall]:
        """Calls of an earlier run of this turn that lack an outcome, or a person's word on it."""
        found = ToolCall.objects.asked_for_last(self._turn).select_related("tool__server")
        last = list(found.defer("result").order_by("pk"))
        for call in last:
            call.turn = self._turn
        return last if any(not call.finished or call.is_unresolved for call in last) else []

    def resume(self, calls: list[ToolCall]) -> None:
        """Make the calls of an earlier run that may be made now; the rules are asked again."""
        for call in calls:
            if call.status != Status.PENDING:
                continue
            reason, approval = self._checker.checked_again(call)
            if reason:
                self._move(call, Status.REFUSED, error=reason[:500], finished_at=timezone.now())
            elif approval is not None:
                self._ask_again(call, approval)
            elif call.question_rounds:
                self._answers[call.pk] = {
                    question.key: question.as_answer()
                    for question in call.questions.filter(round=call.question_rounds)
                }
        self.run(calls)

    def _ask_again(self, call: ToolCall, approval: Approval) -> None:
        opened: list[Approval] = []
        self._move(
            call,
            Status.WAITING,
            # Each try begins with one that nobody has opened yet.
            also=lambda: opened.append(copy(approval).opened()),
            permission=ToolCall.Permission.PERSON,
        )
        announce(approval_requested, opened[-1])

    def run(self, calls: list[ToolCall]) -> None:
        """Make every call that may be made, several at a time; store each outcome at once."""
        wanted = [call for call in calls if call.status in (Status.PENDING, Status.RUNNING)]
        if len(wanted) == 1 and not self._held.may_come(wanted[0]):
            call = wanted[0]
            if call.status == Status.PENDING:
                self._begin(call)
            let_go_of_database()
            self._store(call, self._outcome(call, lambda word: self._progress(call, word), None))
        elif wanted:
            self._run_in_parallel(wanted)

    def _run_in_parallel(self, wanted: list[ToolCall]) -> None:
        news: SimpleQueue[tuple[ToolCall, Outcome | Progress | Asked]] = SimpleQueue()
        waiting: Iterator[ToolCall] = iter(wanted)
        is_over = threading.Event()

        def report(call: ToolCall) -> None:
            def tell(word: Outcome | Progress | Asked) -> None:
                news.put((call, word))
                if isinstance(word, Asked) and is_over.is_set():
                    word.give(DISMISSED)

            try:
                tell(self._outcome(call, tell, self._held.asking(call, tell)))
            except Exception as exc:  # carried to the turn's thread, which raises it
                tell(exc)

        def start_next() -> int:
            call = next(waiting, None)
            if call is None:
                return 0
            if call.status == Status.PENDING:
                self._begin(call)
            name = f"automate-call-{call.pk}"
            # What is known of the turn in this thread goes along, such as the ids in logs.
            run = copy_context().run
            threading.Thread(target=run, args=(report, call), name=name, daemon=True).start()
            return 1

        under_way = sum(start_next() for _ in range(self._at_once))
        while under_way:
            self._held.look_if_due()
            if news.empty():
                let_go_of_database()
            try:
                call, word = news.get(timeout=self._held.due_in)
            except Empty:
                continue
            if isinstance(word, Progress):
                self._progress(call, word)
            elif isinstance(word, Asked):
                self._held.ask(call, word)
            else:
                self._held.withdraw(call)
                self._store(call, word)
                under_way += start_next() - 1
        is_over.set()
        while not news.empty():
            if isinstance(word := news.get()[1], Asked):
                word.give(DISMISSED)

    def _begin(self, call: ToolCall) -> None:
        """Commit that the call is under way; only then may its request leave."""
        self._move(
            call,
            Status.RUNNING,
            first=self._fence,
            started_at=timezone.now(),
            attempts=call.attempts + 1,
        )

    def _move(
        self,
        call: ToolCall,
        status: ToolCall.Status,
        *,
        first: Callable[[], object] = lambda: None,
        also: Callable[[], object] = lambda: None,
        **fields: Any,
    ) -> None:
        """Commit a change of a call's row, with what comes `first` and what is `also` stored.

        Where the row has moved on, another process has the turn. The event goes before it: on
        MariaDB it locks the turn's row, and whoever changes a call locks that one before the
        call's, so that no two wait for each other.
        """
        before = call.status, call.attempts

        def move() -> None:
            call.status, call.attempts = before  # also where an earlier try was rolled back
            first()
            self._log.append(TurnEvent.Kind.CALL, call=call.pk)
            if not call.move(status, **fields):
                self._fence()
                raise RuntimeError(f"The call {call.pk} is no longer {call.status}.")
            if call.finished:
                record_calls([call])
            also()

        self._log.commit(move)
        _announce(call)

    def _outcome(
        self, call: ToolCall, on_progress: OnProgress, on_question: OnQuestion | None
    ) -> Outcome:
        """What came of the call. Touches the network and no row but an account's token."""
        if call.tool is None or call.arguments is None:
            return MCPClientError(_("The tool is gone."))
        with logged_with(call_id=call.pk), self._tracer.call(call) as span:
            outcome = self._called(
                call, call.tool, call.arguments, on_progress, on_question, span.trace_context
            )
            span.called(outcome)
        return outcome

    def _called(
        self,
        call: ToolCall,
        tool: MCPTool,
        arguments: dict[str, Any],
        on_progress: OnProgress,
        on_question: OnQuestion | None,
        trace_context: Mapping[str, str],
    ) -> Outcome:
        client = MCPClient(tool.server.for_user(self._turn.conversation.user))
        state, task_id = call.request_state, call.task_id
        for _round in range(MAX_QUESTION_ROUNDS):
            try:
                return client.call(
                    tool.name,
                    arguments,
                    cancellation=self._cancellation,
                    on_progress=on_progress,
                    input_schema=tool.input_schema,
                    asks=True,
                    input_responses=self._answers.get(call.pk),
                    request_state=state,
                    task_id=task_id,
                    on_question=on_question,
                    trace_context=trace_context,
                )
            except InputRequired as exc:
                if exc.requests:
                    return exc
                # It only wants to be called again.
                state, task_id = exc.request_state, exc.task_id
            except MCPClientError as exc:
                return exc
        return MCPClientError(_("Its server wanted to be called again too often."))

    def _store(self, call: ToolCall, outcome: Outcome) -> None:
        if isinstance(outcome, InputRequired):
            if call.question_rounds < MAX_QUESTION_ROUNDS and _can_be_stored(outcome):
                self._store_questions(call, outcome)
                return
            outcome = MCPClientError(_("Its server asked what a person cannot be asked here."))
        files: tuple[File, ...] = ()
        if isinstance(outcome, ToolResult):
            outcome, files = keep_files(outcome)
            status, fields = self._result(call, outcome)
        else:
            status, fields = self._failure(call, outcome)
        fields["finished_at"] = timezone.now()
        self._move(call, status, also=lambda: attach_files(call, files), **fields)

    def _result(self, call: ToolCall, result: ToolResult) -> tuple[Status, dict[str, Any]]:
        failed = result.is_error
        return Status.FAILED if failed else Status.SUCCEEDED, {
            "result": result.as_dict(),
            "result_text": model_text(result, self._settings.MAX_RESULT_CHARACTERS),
            "error": _("The tool reported a failure.") if failed else "",
            "warning": "" if failed else _misfit(call, result),
            "needs_account": False,
        }

    def _failure(self, call: ToolCall, error: Exception) -> tuple[Status, dict[str, Any]]:
        if not isinstance(error, MCPClientError):
            raise error
        words = str(error)[:400]
        if error.may_have_run:
            words = f"{words} {_('The tool may have done its work.')}"[:500]
        fields = {"error": words, "needs_account": isinstance(error, AuthorizationRequired)}
        if isinstance(error, CallCancelled):
            return Status.CANCELLED, fields
        if error.may_have_run:
            self._checker.uncertain.add((call.function_name, canonical(call.arguments)))
            return Status.UNKNOWN, fields
        return Status.FAILED, fields

    def _store_questions(self, call: ToolCall, asked: InputRequired) -> None:
        """Leave the call to the person whom its server asks."""
        round_ = call.question_rounds + 1
        seconds = self._settings.APPROVAL_SECONDS
        questions = [
            question_of(call, request, round_=round_, key=key, seconds=seconds)
            for key, request in asked.requests.items()
        ]

        def ask() -> None:
            for question in questions:
                question.pk = None  # an earlier try's keys were rolled back
            Question.objects.bulk_create(questions)

        self._move(
            call,
            Status.WAITING,
            also=ask,
            question_rounds=round_,
            request_state=asked.request_state,
            task_id=asked.task_id,
        )
        for question in questions:
            announce(question_asked, question)

    def _progress(self, call: ToolCall, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._progress_at.get(call.pk, 0.0) < _PROGRESS_SECONDS:
            return
        self._progress_at[call.pk] = now
        self._log.append(TurnEvent.Kind.PROGRESS, call=call.pk, **asdict(progress))


def _announce(call: ToolCall) -> None:
    if call.status == Status.RUNNING:
        announce(call_started, call)
    elif call.finished:
        announce(call_finished, call)


def _can_be_stored(asked: InputRequired) -> bool:
    each_can = (can_be_asked(request, key) for key, request in asked.requests.items())
    return len(asked.task_id) <= 200 and all(each_can)


def _misfit(call: ToolCall, result: ToolResult) -> str:
    """How the result differs from what its tool promised; the call has succeeded all the same."""
    if call.tool is None or call.tool.output_schema is None:
        return ""
    problems: Sequence[str] = [_("it has no structured content.")]
    if result.has_structured:
        key = call.tool.definition_hash
        problems = validate_output(call.tool.output_schema, result.structured, key=key)
    if not problems:
        return ""
    words = _("This result does not fit the tool's own output schema: %(why)s")
    return (words % {"why": " ".join(problems)})[:500]
