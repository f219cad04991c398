"""Rows in any state that a test begins with, whatever led there."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

from chat.models import Turn, lease


def put(turn: Turn, status: str, **fields: Any) -> Turn:
    """Let a stored turn be in this state, with all that belongs to it."""
    is_running = status == Turn.Status.RUNNING
    fields = {
        "status": status,
        "occupies": turn.conversation_id if status in Turn.UNFINISHED else None,
        "lease_owner": uuid4() if is_running else None,
        "lease_until": timezone.now() + lease() if is_running else None,
        **fields,
    }
    Turn.objects.filter(pk=turn.pk).update(**fields)
    turn.refresh_from_db()
    return turn


def let_lease_run_out(turns: Any = None) -> None:
    """What time does to turns whose process gives no sign of life."""
    found = Turn.objects.all() if turns is None else turns
    past = timezone.now() - timedelta(minutes=1)
    found.filter(status=Turn.Status.RUNNING).update(lease_until=past)
