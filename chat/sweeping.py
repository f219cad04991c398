"""What every executor does from time to time, so that no turn is forgotten."""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef

from .decisions import expire_overdue
from .filing import purge_deleted
from .models import ToolCall, Turn, Worker
from .queueing import queue_turn
from .recovery import recover_abandoned


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did, and what it found."""

    recovered: int
    """Turns taken from processes that died."""
    expired: int
    """Approvals and questions that nobody answered in time."""
    purged: int
    """Conversations that their persons had deleted, and that are gone for good now."""
    queued: list[Turn]
    """All turns in line, the oldest first."""


def sweep() -> Swept:
    """Recover turns of dead processes, end what waited too long, remove what was deleted.

    Whoever calls it hands the turns in line to its workers: an id may have been lost on its way.
    """
    recovered = recover_abandoned()
    expired = expire_overdue()
    _continue_decided()
    purged = purge_deleted()
    Worker.objects.stale().delete()
    queued = Turn.objects.filter(status=Turn.Status.QUEUED).order_by("created_at")
    return Swept(recovered, expired, purged, list(queued))


def _continue_decided() -> None:
    """Turns that wait although everything has been said; a rare thing, and no one else's work."""
    open_calls = ToolCall.objects.filter(turn=OuterRef("pk")).needing_person()
    waiting = Turn.objects.filter(status=Turn.Status.WAITING)
    for turn in waiting.exclude(Exists(open_calls)):
        queue_turn(turn)
