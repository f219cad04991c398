"""Runs a turn: asks the model, makes the calls that it wants, until it answers."""

import logging
import uuid
from collections.abc import Iterator
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import close_old_connections, transaction
from django.utils.translation import gettext as _

from automate.catalog import catalog_for
from automate.conf import conf
from automate_llm.exceptions import ModelCancelled, ModelError
from automate_llm.providers.base import Completed, ModelEvent, ModelRequest, TextDelta

from .answer_writer import AnswerWriter
from .context import ModelMessage, assistant_entry, model_messages, tool_entry
from .dispatch import Dispatcher
from .events import EventLog
from .language_models import provider_for
from .limits import TurnLimits
from .models import Turn, TurnEvent
from .recovery import close_calls, keep_partial_text
from .running import Running, running

logger = logging.getLogger(__name__)


def run_turn(turn_id: UUID) -> None:
    """Answer the message of this turn; a turn that somebody else runs, or that is over, is left.

    Whatever happens, the turn ends in one of its final states with a sentence for the person,
    unless the process is killed: then its lease runs out and `recovery` ends it.
    """
    try:
        turn = Turn.objects.select_related("conversation__user").get(pk=turn_id)
    except Turn.DoesNotExist:
        return
    owner = uuid.uuid4()
    if not turn.claim(owner):
        return
    with running(turn_id, owner, conf().MAX_TURN_SECONDS) as this:
        run = TurnRun(turn, this)
        try:
            status, notice = run.answer()
        except ModelCancelled:
            status, notice = run.stopped()
        except ModelError as exc:
            status, notice = Turn.Status.FAILED, str(exc)
        except Exception as exc:
            reference = uuid.uuid4().hex[:8]
            logger.exception("Turn %s failed (reference %s)", turn_id, reference)
            status = Turn.Status.FAILED
            notice = _(
                "Something went wrong on our side. Try again; if it happens again, tell us the "
                "reference %(reference)s."
            ) % {"reference": reference}
            if isinstance(exc, DatabaseError):
                close_old_connections()  # the end is then stored over a new one
        run.end(owner, status, notice)


class TurnRun:
    """One run of one turn, in one thread."""

    def __init__(self, turn: Turn, this: Running) -> None:
        self._turn = turn
        self._this = this
        self._settings = conf()
        self._limits = TurnLimits(self._settings)
        # A turn's first run finds an empty log; only a later one has to ask where it ended.
        self._log = EventLog(turn.pk, last=0 if turn.attempt == 0 else None)
        self._dispatcher = Dispatcher(
            turn, self._log, self._limits, this.cancellation, self._settings
        )

    def answer(self) -> tuple[Turn.Status, str]:
        """Ask the model and make its calls, round after round.

        Returns the turn's final state, and what the person is told about it.
        """
        provider = provider_for(self._turn.model)
        catalog = catalog_for(self._turn.conversation.user)
        messages = model_messages(self._turn.conversation, self._settings)
        tools_dropped = False
        while True:
            self._limits.count_round()
            limited = bool(self._limits.reached)
            if limited:
                messages[-1] = _with_limit(messages[-1], self._limits.reached)
            tools = b"" if limited or tools_dropped else catalog.definitions
            request = ModelRequest(messages=messages, tools=tools)
            writer = AnswerWriter(self._log, self._turn.conversation, self._turn.pk)
            completed = self._streamed(provider.stream(request, self._this.cancellation), writer)
            tools_dropped = tools_dropped or completed.tools_dropped
            calls = self._dispatcher.prepare(() if limited else completed.calls)
            self._dispatcher.begin(calls)
            writer.complete(completed.text, calls)
            if not calls:
                return Turn.Status.DONE, _closing_notice(
                    completed, self._limits.reached if limited else "", tools_dropped
                )
            self._dispatcher.run(calls)
            if self._this.cancellation.cancelled:
                return self.stopped()
            messages.append(assistant_entry(completed.text, calls))
            messages.extend(map(tool_entry, calls))

    def stopped(self) -> tuple[Turn.Status, str]:
        """The final state of a turn that was cancelled: by a person, or by its time limit."""
        if self._this.out_of_time:
            return Turn.Status.FAILED, _("Stopped after %(seconds)s seconds.") % {
                "seconds": f"{self._this.seconds:g}"
            }
        return Turn.Status.CANCELLED, _("You stopped this answer.")

    def end(self, owner: UUID, status: Turn.Status, notice: str) -> None:
        """Store how it ended, all at once; nothing where the turn is no longer ours."""
        turn = self._turn
        turn.rounds = self._limits.rounds
        turn.prompt_tokens = self._limits.prompt_tokens
        turn.completion_tokens = self._limits.completion_tokens
        with transaction.atomic():
            if not turn.finish(owner, status, notice):
                return
            if status != Turn.Status.DONE:
                close_calls(turn, self._log)
                keep_partial_text(turn)
            self._log.append(TurnEvent.Kind.STATUS, status=status)
            self._log.fold_text()

    def _streamed(self, events: Iterator[ModelEvent], writer: AnswerWriter) -> Completed:
        self._this.at_each_look = writer.write_late
        try:
            for event in events:
                if isinstance(event, TextDelta):
                    writer.add(event.text)
                else:
                    self._limits.count_usage(event.usage)
                    return event
            raise ModelError(_("The model sent no complete answer."))
        except BaseException:
            writer.break_off()
            raise


def _closing_notice(completed: Completed, reached: str, tools_dropped: bool) -> str:
    if reached:
        return reached
    if tools_dropped:
        return _("This model takes no tools, so it answered without them.")
    if completed.truncated:
        return _("The model stopped at its length limit; the answer may be incomplete.")
    if not completed.text:
        return _("The model gave an empty answer. Try again, or ask in other words.")
    return ""


def _with_limit(entry: ModelMessage, reached: str) -> ModelMessage:
    """The last message with a word on the limit; some models take no system message so late."""
    word = f"{reached} No tool can be used now. Answer with what you have, and say what is missing."
    return {**entry, "content": f"{entry['content'] or ''}\n\n[{word}]"}
