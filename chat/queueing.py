"""Hands turns to the executor, once what makes them run is committed."""

from functools import partial

from django.db import transaction

from .executors import executor
from .models import Turn


def submit_turn(turn: Turn) -> None:
    """Have a queued turn run, as soon as the transaction under way is committed."""
    transaction.on_commit(partial(executor().submit, turn.pk))


def queue_turn(turn: Turn) -> bool:
    """Put a turn that waited for a person back in line; false where it did not wait."""
    if not turn.requeue():
        return False
    submit_turn(turn)
    return True
