"""Runs a turn: asks the model, makes the calls that it wants, until it answers."""

import logging
import uuid
from collections.abc import Callable
from functools import partial
from typing import NamedTuple
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.utils.translation import gettext as _

from automate.catalog import catalog_for
from automate.compiled import CompiledQuery, Place
from automate.conf import Settings, conf
from automate.databases import short_transaction
from automate.missing import missing_line
from automate_llm.exceptions import ModelCancelled, ModelError
from automate_llm.providers.base import Completed, ModelRequest

from .answer_writer import AnswerWriter
from .budgets import BudgetSpent
from .compaction import compacted
from .connections import lasting
from .context import assistant_entry, gone_on_with, tool_entry, with_word
from .dispatch import Dispatcher
from .events import EventLog
from .limits import TurnLimits
from .logs import logged_with
from .models import ToolCall, Turn, TurnEvent
from .queueing import queue_turn
from .recovery import close_calls, keep_partial_text
from .rejoining import rejoined
from .requesting import Requester
from .running import Running, running
from .signals import announce, turn_finished, turn_started, turn_waiting
from .tracing import Tracer, tracer

logger = logging.getLogger(__name__)


_turn = CompiledQuery(
    lambda: Turn.objects.select_related("conversation__user").filter(pk=Place(Turn, "pk"))
)


class Ending(NamedTuple):
    """How a run ended: the turn's next state, what the person is told, and the limit it reached."""

    status: Turn.Status
    notice: str = ""
    limit: str = ""


class TurnLost(Exception):
    """Another process has taken this one for dead, and its turn from it; nothing was stored."""


def run_turn(turn_id: UUID) -> None:
    """Answer the message of this turn; a turn that somebody else runs, or that is over, is left.

    Whatever happens, the turn ends in one of its final states with a sentence for the person, or
    waits for a person, unless the process is killed: then its lease runs out, and `recovery` puts
    it back in line.
    """
    turn = _turn.first(pk=turn_id)
    if turn is None:
        return
    owner = uuid.uuid4()
    if not turn.claim(owner):
        return
    settings = conf()
    traces = tracer(settings)
    seconds = max(0.0, settings.MAX_TURN_SECONDS - turn.seconds_used)
    with (
        logged_with(turn_id=turn_id, conversation_id=turn.conversation_id),
        traces.turn(turn) as span,
        running(turn_id, owner, seconds) as this,
    ):
        announce(turn_started, turn)
        run = TurnRun(turn, this, settings, traces)
        try:
            ending = run.answer()
        except TurnLost:
            return
        except ModelCancelled:
            ending = run.stopped()
        except (ModelError, BudgetSpent) as exc:
            ending = Ending(Turn.Status.FAILED, str(exc))
        except Exception as exc:  # the person is told, the turn ends, the log has it all
            reference = uuid.uuid4().hex[:8]
            logger.exception("Turn %s failed (reference %s)", turn_id, reference)
            notice = _(
                "Something went wrong on our side. Try again; if it happens again, tell us the "
                "reference %(reference)s."
            ) % {"reference": reference}
            if isinstance(exc, DatabaseError):
                notice = _(
                    "The site could not store the answer. Try again; if it happens again, tell us "
                    "the reference %(reference)s."
                ) % {"reference": reference}
                close_old_connections()  # the end is then stored over a new one
            ending = Ending(Turn.Status.FAILED, notice)
        span.turn_ended(run.end(ending))


class TurnRun:
    """One run of one turn, in one thread."""

    def __init__(self, turn: Turn, this: Running, settings: Settings, traces: Tracer) -> None:
        self._turn = turn
        self._this = this
        self._settings = settings
        self._tracer = traces
        self._limits = TurnLimits.of(turn, self._settings)
        self._counted = 0.0
        self._is_over = False
        self._is_first = turn.started_at is None
        # An earlier run did not come to a stop in order.
        self._is_taken_over = turn.attempt > 0
        if self._is_taken_over:
            self._log = EventLog.taken_over(turn.pk)
        else:
            self._log = EventLog(turn.pk, last=0 if self._is_first else None)
        self._dispatcher = Dispatcher(
            turn, self._log, self._limits, this, settings, self._checkpoint, traces
        )

    def answer(self) -> Ending:
        """Ask the model and make its calls, round after round."""
        left = [] if self._is_first else self._dispatcher.unfinished()
        if left:
            unresolved = any(call.is_unresolved for call in left)
            self._dispatcher.resume(left)
            if stop := self._stop_after(left, unresolved):
                return stop
        model = Requester(
            self._turn, self._limits, self._this.cancellation, self._settings, self._tracer
        )
        conversation = self._turn.conversation
        catalog = catalog_for(conversation.user, conversation.left_out)
        context = compacted(self._turn, self._settings, model.text, self._checkpoint)
        messages = context.messages
        before = gone_on_with(messages)
        if missing := missing_line(conversation.user, conversation.left_out.servers):
            messages[0] = with_word(messages[0], missing)
        tools_dropped = False
        while True:
            self._limits.count_round()
            limited = bool(self._limits.reached)
            if limited:
                messages[-1] = with_word(messages[-1], _no_more_tools(self._limits.reached))
            tools = b"" if limited or tools_dropped else catalog.definitions
            request = ModelRequest(messages=messages, tools=tools)
            writer = AnswerWriter(
                self._log, self._turn.conversation, self._turn.pk, self._checkpoint
            )
            cost_before = self._turn.cost
            completed = self._streamed(model, request, writer)
            tools_dropped = tools_dropped or completed.tools_dropped
            wanted = () if limited else completed.calls
            cost = self._turn.cost - cost_before
            with model.storing() as store_usage:
                calls, approvals = lasting(partial(self._dispatcher.prepare, wanted, cost))
                text, before = rejoined(before, completed.text, is_cut=completed.truncated), ""
                if not calls:
                    ending = self._ending(completed, limited, tools_dropped)
                    ending = ending if ending.notice else ending._replace(notice=context.notice)
                    self._conclude(writer, text, ending, store_usage)
                    return ending
                writer.complete(text, calls, approvals, also=store_usage)
            self._dispatcher.announce(calls, approvals)
            self._dispatcher.run(calls)
            if stop := self._stop_after(calls):
                return stop
            messages.append(assistant_entry(text, calls))
            messages.extend(map(tool_entry, calls))

    def stopped(self) -> Ending:
        """The end of a turn that was cancelled: by a person, or by its time limit."""
        if self._this.out_of_time:
            seconds = f"{self._settings.MAX_TURN_SECONDS:g}"
            notice = _("Stopped after %(seconds)s seconds.") % {"seconds": seconds}
            return Ending(Turn.Status.FAILED, notice, Turn.Limit.SECONDS)
        return Ending(Turn.Status.CANCELLED, _("You stopped this answer."))

    def end(self, ending: Ending) -> Turn.Status:
        """Store how this run ended, all at once; nothing where the turn is no longer ours.

        Returns what it came to: a turn that was to wait may have been stopped meanwhile.
        """
        if self._is_over:
            return ending.status
        self._count()
        if ending.status == Turn.Status.WAITING:
            if lasting(self._wait):
                return ending.status
            ending = Ending(Turn.Status.CANCELLED, _("You stopped this answer."))
        return self._finish(ending)

    def _conclude(
        self, writer: AnswerWriter, text: str, ending: Ending, store_usage: Callable[[], None]
    ) -> None:
        """Store the last answer and the turn's end at once: no process dies between the two."""
        status, notice, limit = ending

        def finish() -> None:
            self._count()
            if not self._turn.finish(self._this.owner, status, notice, limit):
                raise TurnLost

        def also() -> None:
            self._log.fold_text()
            store_usage()

        news = [(TurnEvent.Kind.STATUS, {"status": status})]
        writer.complete(text, [], fence=finish, news=news, also=also)
        self._is_over = True
        announce(turn_finished, self._turn)

    def _finish(self, ending: Ending) -> Turn.Status:
        status, notice, limit = ending
        was_ours = False

        def finish() -> None:
            nonlocal was_ours
            was_ours = self._turn.finish(self._this.owner, status, notice, limit)
            if not was_ours:
                return
            if status != Turn.Status.DONE:
                close_calls(self._turn, self._log)
                keep_partial_text(self._turn)
            self._log.append(TurnEvent.Kind.STATUS, status=status)
            self._log.fold_text()

        self._log.commit(finish)
        if was_ours:
            announce(turn_finished, self._turn)
        return status

    def _wait(self) -> bool:
        """Leave the turn to a person; false where that person stopped it meanwhile.

        What was decided while it still ran is not waited for. Who decides locks the turn's row
        first, so that one of both sees the other.
        """
        with short_transaction():
            if not self._turn.wait(self._this.owner):
                return not Turn.objects.held_by([self._this.owner]).exists()
            self._log.append(TurnEvent.Kind.WAITING)
            announce(turn_waiting, self._turn)
            if self._is_decided():
                queue_turn(self._turn)
        return True

    def _is_decided(self) -> bool:
        """Whether some call may be made by now, or nothing waits for a person any more."""
        calls = ToolCall.objects.asked_for_last(self._turn).only("status", "resolved_by_id")
        statuses = {
            ToolCall.Status.WAITING if call.is_unresolved else call.status for call in calls
        }
        return ToolCall.Status.PENDING in statuses or ToolCall.Status.WAITING not in statuses

    def _stop_after(self, calls: list[ToolCall], unresolved: bool = False) -> Ending | None:
        """What the turn is to do now that these calls were made; nothing where it goes on.

        `unresolved` says that a crash left a call of which only a person can say what came of it.
        """
        if self._this.cancellation.cancelled:
            return self.stopped()
        if unresolved or any(call.status == ToolCall.Status.WAITING for call in calls):
            return Ending(Turn.Status.WAITING)
        return None

    def _ending(self, completed: Completed, limited: bool, tools_dropped: bool) -> Ending:
        """The end of a turn whose model has said its last word."""
        done = Turn.Status.DONE
        if limited:
            return Ending(done, self._limits.reached, self._limits.limit)
        if completed.truncated:
            notice = _("The model stopped at its length limit; the answer may be incomplete.")
            return Ending(done, notice, Turn.Limit.LENGTH)
        if tools_dropped:
            return Ending(done, _("This model takes no tools, so it answered without them."))
        if not completed.text:
            notice = _("The model gave an empty answer. Try again, or ask in other words.")
            return Ending(done, notice)
        return Ending(done)

    def _count(self) -> None:
        """Note on the turn what was used so far."""
        turn = self._turn
        turn.rounds, turn.repairs = self._limits.rounds, self._limits.repairs
        turn.prompt_tokens = self._limits.prompt_tokens
        turn.completion_tokens = self._limits.completion_tokens
        ran = self._this.seconds - self._this.countdown.left()
        turn.seconds_used += ran - self._counted
        self._counted = ran

    def _checkpoint(self) -> None:
        """Store what was used so far, and make sure that the turn is still ours.

        Raises:
            TurnLost: it is not.
        """
        self._count()
        if not self._turn.checkpoint(self._this.owner):
            raise TurnLost

    def _streamed(self, model: Requester, request: ModelRequest, writer: AnswerWriter) -> Completed:
        try:
            with writer.streaming():
                return model.answer(request, writer.add)
        except BaseException:  # the text so far is kept, and it is raised on
            writer.break_off()
            raise


def _no_more_tools(reached: str) -> str:
    """The word on a limit for the last message; some models take no system message so late."""
    return f"{reached} No tool can be used now. Answer with what you have, and say what is missing."
