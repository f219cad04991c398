"""The event log of a turn: one writer, any number of readers, no reader ever late for good.

Rows are the truth. A wake-up (`chat.wake_ups`) only spares a reader its wait until the next look
at them.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self
from uuid import UUID

from django.db import connections, router
from django.db.models import Max
from django.db.models.constants import OnConflict

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
        insert([self.numbered(kind, data) for kind, data in events])
        wake_ups.announce([self.turn_id])

    def numbered(self, kind: TurnEvent.Kind, data: dict[str, Any]) -> TurnEvent:
        """An event that whoever asks for it writes, with the next number."""
        self._seq += 1
        return TurnEvent(turn_id=self.turn_id, seq=self._seq, kind=kind, data=data)

    def fold_text(self) -> None:
        """Delete the text events, once their text stands in the turn's messages."""
        TurnEvent.objects.filter(turn_id=self.turn_id, kind=TurnEvent.Kind.TEXT).delete()


def _last_seq(turn_id: UUID) -> int:
    found = TurnEvent.objects.filter(turn_id=turn_id).aggregate(last=Max("seq"))
    return found["last"] or 0


def insert(rows: Sequence[TurnEvent], *, again: bool = False) -> None:
    """Insert rows by one statement, as `bulk_create` does in three times the CPU.

    It compiles the statement anew for each of the many events of a turn. `again` passes over
    rows that an earlier try may have stored.
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
        ignored = OnConflict.IGNORE if again else None
        verb = connection.ops.insert_statement(on_conflict=ignored)
        ending = connection.ops.on_conflict_suffix_sql(fields, ignored, [], []) if again else ""
        table = quote(TurnEvent._meta.db_table)
        # Only names of our own and placeholders are put together here.
        cursor.execute(f"{verb} {table} ({columns}) VALUES {places} {ending}", values)


class LogLine(NamedTuple):
    """One event as a reader needs it."""

    seq: int
    kind: str
    data: dict[str, Any]


def events_after(turn_id: UUID, seq: int) -> list[LogLine]:
    """The turn's events with a higher number, in order."""
    found = TurnEvent.objects.filter(turn_id=turn_id, seq__gt=seq).order_by("seq")
    return [LogLine(*values) for values in found.values_list("seq", "kind", "data")]


def events_of_many(wanted: Sequence[tuple[UUID, int]]) -> dict[int, list[LogLine]]:
    """For turns and numbers, what `events_after` gives for each, by its place; by one statement."""
    connection = connections[router.db_for_read(TurnEvent)]
    turn = TurnEvent._meta.get_field("turn")
    key = "CAST(%s AS UUID)" if connection.features.has_native_uuid_field else "%s"
    places = ", ".join([f"(%s, {key}, %s)"] * len(wanted))
    values: list[Any] = []
    for place, (turn_id, seq) in enumerate(wanted):
        values += place, turn.get_db_prep_value(turn_id, connection), seq
    table = connection.ops.quote_name(TurnEvent._meta.db_table)
    found: defaultdict[int, list[LogLine]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH wanted (place, turn_key, seen) AS (VALUES {places}) "  # noqa: S608 # as above
            "SELECT wanted.place, event.seq, event.kind, event.data FROM wanted "
            f"JOIN {table} event ON event.turn_id = wanted.turn_key AND event.seq > wanted.seen "
            "ORDER BY wanted.place, event.seq",
            values,
        )
        for place, seq, kind, raw in cursor.fetchall():
            data = json.loads(raw) if isinstance(raw, str | bytes) else raw
            found[place].append(LogLine(seq, kind, data))
    return found
