"""What becomes of turns whose process died: nothing is lost, nothing is run twice unasked."""

import logging
from functools import partial

from django.db import connections, router, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from automate.conf import conf

from .connections import lasting
from .events import EventLog
from .logs import logged_with
from .models import Approval, Message, Question, ToolCall, Turn, TurnEvent, TurnQuerySet
from .queueing import submit_turn
from .records import record_finished
from .signals import announce, turn_finished, turn_waiting

logger = logging.getLogger(__name__)

Status = Turn.Status


def recover_abandoned(turns: TurnQuerySet | None = None) -> int:
    """Take every turn whose lease ran out from its process; returns how many.

    A call that was under way becomes `unknown`, and the turn waits for a person to say what came
    of it, unless the operator said that its tool may run twice. Any other turn goes back in line,
    but for one that ended its process again and again.
    """
    found = Turn.objects.all() if turns is None else turns
    return sum(_recovered(turn) for turn in found.abandoned())


def _recovered(turn: Turn) -> bool:
    """Whether it was taken; one that cannot be must not keep all others from it."""
    try:
        return lasting(partial(_recover, turn))
    except Exception:  # one turn must not keep the sweep from the others
        logger.exception("Turn %s was left by its process and cannot be taken from it", turn.pk)
        return False


@transaction.atomic
def _recover(turn: Turn) -> bool:
    abandoned = Turn.objects.abandoned().filter(pk=turn.pk, lease_owner=turn.lease_owner)
    # Locked: who decides on one of its calls at this moment goes first or sees what is done here.
    # PostgreSQL looks at foreign keys last of all, so a process that is not dead after all may
    # hold a call and come to the turn then: this lock lets it pass.
    lets_pass = connections[router.db_for_write(Turn)].features.has_select_for_no_key_update
    found = abandoned.select_for_update(no_key=lets_pass).first()
    if found is None:
        return False
    log = EventLog.taken_over(turn.pk)
    status, notice = _next_state(found, log)
    if status not in Turn.UNFINISHED:
        close_calls(found, log)
    if not abandoned.move(status, notice=notice):
        raise RuntimeError("It has moved on although its row was locked.")
    keep_partial_text(found)
    if status == Status.QUEUED:
        submit_turn(found)
    elif status == Status.WAITING:
        log.append(TurnEvent.Kind.WAITING)
        announce(turn_waiting, found)
    else:
        log.append(TurnEvent.Kind.STATUS, status=status)
        log.fold_text()
        announce(turn_finished, found)
    with logged_with(turn_id=turn.pk, conversation_id=found.conversation_id):
        logger.warning("Turn %s was left by its process and is %s now", turn.pk, status)
    return True


def _next_state(turn: Turn, log: EventLog) -> tuple[Turn.Status, str]:
    if turn.cancel_requested:
        return Status.CANCELLED, _("You stopped this answer.")
    if turn.attempt >= conf().MAX_ATTEMPTS:
        return Status.INTERRUPTED, _("The server restarted before the answer was complete.")
    needs_person = False
    for call in turn.tool_calls.unfinished().select_related("tool"):
        if call.status == ToolCall.Status.RUNNING:
            # Its server asked the process that is gone.
            Question.objects.filter(call=call).withdraw()
            if call.tool is not None and call.tool.may_run_twice:
                call.move(ToolCall.Status.PENDING)
            else:
                needs_person = _lose(call, log) or needs_person
        needs_person = needs_person or call.status == ToolCall.Status.WAITING
    return (Status.WAITING if needs_person else Status.QUEUED), ""


def close_calls(turn: Turn, log: EventLog) -> None:
    """Give every call of a turn that is over an outcome: unknown if it was sent, else stopped.

    What they waited for is withdrawn.
    """
    for call in turn.tool_calls.unfinished():
        if call.status == ToolCall.Status.RUNNING:
            _lose(call, log)
        else:
            call.move(
                ToolCall.Status.CANCELLED,
                error=_("It was never sent."),
                finished_at=timezone.now(),
            )
            log.append(TurnEvent.Kind.CALL, call=call.pk)
            record_finished(call)
    Approval.objects.filter(call__turn=turn, status=Approval.Status.WAITING).update(
        status=Approval.Status.WITHDRAWN, decided_at=timezone.now()
    )
    Question.objects.filter(call__turn=turn).withdraw()


def keep_partial_text(turn: Turn) -> None:
    """Move text that only the event log has into its message, marked as interrupted."""
    texts: dict[int, list[str]] = {}
    for data in turn.events.filter(kind=TurnEvent.Kind.TEXT).values_list("data", flat=True):
        texts.setdefault(data["message"], []).append(data["text"])
    for message_id, pieces in texts.items():
        Message.objects.filter(pk=message_id, content="").update(
            content="".join(pieces), interrupted=True
        )


def _lose(call: ToolCall, log: EventLog) -> bool:
    """Note that nobody knows what came of it; false where its process has said so just now."""
    if not call.move(
        ToolCall.Status.UNKNOWN,
        error=_("It was cut off before its answer arrived. It may have done its work."),
        finished_at=timezone.now(),
    ):
        return False
    log.append(TurnEvent.Kind.CALL, call=call.pk)
    record_finished(call)
    return True
