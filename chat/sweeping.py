"""What every executor does from time to time, so that no turn is forgotten."""

from django.db.models import Exists, OuterRef

from .decisions import expire_overdue
from .models import ToolCall, Turn
from .queueing import queue_turn
from .recovery import recover_abandoned


def sweep() -> list[Turn]:
    """Recover turns of dead processes, end what waited too long; returns the turns in line.

    Whoever calls it hands those to its workers: the id of a turn may have been lost on its way.
    """
    recover_abandoned()
    expire_overdue()
    _continue_decided()
    return list(Turn.objects.filter(status=Turn.Status.QUEUED).order_by("created_at"))


def _continue_decided() -> None:
    """Turns that wait although everything has been said; a rare thing, and no one else's work."""
    open_calls = ToolCall.objects.filter(turn=OuterRef("pk")).needing_person()
    waiting = Turn.objects.filter(status=Turn.Status.WAITING)
    for turn in waiting.exclude(Exists(open_calls)):
        queue_turn(turn)
