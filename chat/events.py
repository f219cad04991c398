"""The event log of a turn: one writer, any number of readers, no reader ever late for good.

Rows are the truth. A wake-up (`chat.wake_ups`) only spares a reader its wait until the next look
at them.
"""

from collections.abc import Iterable
from typing import Any, Self
from uuid import UUID

from django.db import connections, router
from django.db.models import Max

from .models import TurnEvent
from .wake_ups import wake_ups

TAKEN_OVER_GAP = 1_000
"""Numbers that whoever takes a turn over leaves to the process that had it."""


class EventLog:
    """Writes the events of one turn. Only the process that runs the turn may hold one.

    `last` is the number of the turn's last event, where the caller knows it.
    """

    def __init__(self, turn_id: UUID, last: int | None = None) -> None:
        self.turn_id = turn_id
        self._seq = _last_seq(turn_id) if last is None else last

    @classmethod
    def taken_over(cls, turn_id: UUID) -> Self:
        """The log of a turn whose process was taken for dead, and might not be.

        What that one still writes until it notices gets numbers that this one leaves free.
        """
        return cls(turn_id, last=_last_seq(turn_id) + TAKEN_OVER_GAP)

    def append(self, kind: TurnEvent.Kind, **data: Any) -> None:
        """Add an event; its readers wake when it is committed."""
        self.append_all([(kind, data)])

    def append_all(self, events: Iterable[tuple[TurnEvent.Kind, dict[str, Any]]]) -> None:
        """Add events in this order; their readers wake when they are committed."""
        rows = [
            TurnEvent(turn_id=self.turn_id, seq=seq, kind=kind, data=data)
            for seq, (kind, data) in enumerate(events, start=self._seq + 1)
        ]
        _insert(rows)
        self._seq += len(rows)
        wake_ups.announce([self.turn_id])

    def fold_text(self) -> None:
        """Delete the text events, once their text stands in the turn's messages."""
        TurnEvent.objects.filter(turn_id=self.turn_id, kind=TurnEvent.Kind.TEXT).delete()


def _last_seq(turn_id: UUID) -> int:
    found = TurnEvent.objects.filter(turn_id=turn_id).aggregate(last=Max("seq"))
    return found["last"] or 0


def _insert(rows: list[TurnEvent]) -> None:
    """Insert rows by one statement, as `bulk_create` does in three times the CPU.

    It compiles the statement anew for each of the many events of a turn.
    """
    connection = connections[router.db_for_write(TurnEvent)]
    quote = connection.ops.quote_name
    fields = [field for field in TurnEvent._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(quote(str(field.column)) for field in fields)
    places = ", ".join([f"({', '.join(['%s'] * len(fields))})"] * len(rows))
    values = [
        field.get_db_prep_save(getattr(row, field.attname), connection)
        for row in rows
        for field in fields
    ]
    with connection.cursor() as cursor:
        # Only names of our own and placeholders are put together here.
        statement = f"INSERT INTO {quote(TurnEvent._meta.db_table)} ({columns}) VALUES {places}"  # noqa: S608
        cursor.execute(statement, values)


def events_after(turn_id: UUID, seq: int) -> list[TurnEvent]:
    """The turn's events with a higher number, in order."""
    return list(TurnEvent.objects.filter(turn_id=turn_id, seq__gt=seq).order_by("seq"))
