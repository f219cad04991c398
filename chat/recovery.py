"""What becomes of turns whose process died: nothing is lost, nothing is run twice."""

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from .events import EventLog
from .models import Message, ToolCall, Turn, TurnEvent, TurnQuerySet


def interrupt_abandoned(turns: TurnQuerySet | None = None) -> int:
    """End every turn whose lease ran out, and say what is known about its calls.

    A call that was under way becomes `unknown`: it may have done its work, so only a person may
    ask for it again. Text that the model had written is kept and marked. Returns how many ended.
    """
    found = Turn.objects.all() if turns is None else turns
    return sum(_interrupt(turn) for turn in found.abandoned())


@transaction.atomic
def _interrupt(turn: Turn) -> bool:
    taken = Turn.objects.abandoned().filter(pk=turn.pk, lease_owner=turn.lease_owner)
    if not taken.update(
        status=Turn.Status.INTERRUPTED,
        lease_owner=None,
        lease_until=None,
        finished_at=timezone.now(),
        notice=_("The server restarted before the answer was complete."),
    ):
        return False
    log = EventLog(turn.pk)
    close_calls(turn, log)
    keep_partial_text(turn)
    log.append(TurnEvent.Kind.STATUS, status=Turn.Status.INTERRUPTED)
    log.fold_text()
    return True


def close_calls(turn: Turn, log: EventLog) -> None:
    """Give every call of a turn that is over an outcome: unknown if it was sent, else stopped."""
    now = timezone.now()
    for call in turn.tool_calls.unfinished():
        if call.status == ToolCall.Status.RUNNING:
            call.status = ToolCall.Status.UNKNOWN
            call.error = _("It was cut off before its answer arrived. It may have done its work.")
        else:
            call.status, call.error = ToolCall.Status.CANCELLED, _("It was never sent.")
        call.finished_at = now
        call.save(update_fields=["status", "error", "finished_at"])
        log.append(TurnEvent.Kind.CALL, call=call.pk)


def keep_partial_text(turn: Turn) -> None:
    """Move text that only the event log has into its message, marked as interrupted."""
    texts: dict[int, list[str]] = {}
    for data in turn.events.filter(kind=TurnEvent.Kind.TEXT).values_list("data", flat=True):
        texts.setdefault(data["message"], []).append(data["text"])
    for message_id, pieces in texts.items():
        Message.objects.filter(pk=message_id, content="").update(
            content="".join(pieces), interrupted=True
        )
