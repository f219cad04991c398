"""What each person used on each day, added up and asked for around every model request.

The two statements are written by hand: putting them together takes the ORM twenty times as long as
it takes to run them, four times in an ordinary turn.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connections, router, transaction

from .models import DailyUsage


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens, in and out together, and money."""

    tokens: int
    cost: Decimal


def add_usage(
    day: date, user_id: Any, prompt_tokens: int, completion_tokens: int, cost: Decimal
) -> None:
    """Add to this person's day by one `UPDATE`; the first of a day makes its row."""
    more = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "cost": cost}
    if not _added(day, user_id, more):
        with transaction.atomic(using=router.db_for_write(DailyUsage)):
            # Of several workers that make it at once, one does, and all go on.
            row = DailyUsage(day=day, user_id=user_id)
            DailyUsage.objects.bulk_create([row], ignore_conflicts=True)
        _added(day, user_id, more)


def used_on(day: date, user_id: Any, *, by_all: bool) -> tuple[Used, Used]:
    """What this person used on a day, and what all did; the latter only where it is asked for."""
    connection = connections[router.db_for_read(DailyUsage)]
    table = _Table(connection)
    tokens = f"{table.column('prompt_tokens')} + {table.column('completion_tokens')}"
    cost = table.column("cost")
    is_own = f"CASE WHEN {table.column('user')} = %s THEN 1 ELSE 0 END"
    where = f"{table.column('day')} = %s"
    person = table.value("user", user_id)
    values = [person, person, table.value("day", day)]
    if not by_all:
        where += f" AND {table.column('user')} = %s"
        values.append(person)
    with connection.cursor() as cursor:
        # Only names of our own and placeholders are put together here.
        cursor.execute(
            f"SELECT SUM(({tokens}) * {is_own}), SUM({cost} * {is_own}), "  # noqa: S608
            f"SUM({tokens}), SUM({cost}) FROM {table.name} WHERE {where}",
            values,
        )
        own_tokens, own_cost, all_tokens, all_cost = cursor.fetchone()
    return _used(own_tokens, own_cost), _used(all_tokens, all_cost)


def _added(day: date, user_id: Any, more: Mapping[str, Any]) -> bool:
    connection = connections[router.db_for_write(DailyUsage)]
    table = _Table(connection)
    changes = ", ".join(f"{table.column(name)} = {table.column(name)} + %s" for name in more)
    where = f"{table.column('day')} = %s AND {table.column('user')} = %s"
    given = {**more, "day": day, "user": user_id}
    values = [table.value(name, value) for name, value in given.items()]
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table.name} SET {changes} WHERE {where}", values)  # noqa: S608
        return bool(cursor.rowcount)


class _Table:
    """The table's names and values as one database writes them."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.name = connection.ops.quote_name(DailyUsage._meta.db_table)

    def column(self, name: str) -> str:
        return str(self._connection.ops.quote_name(_field(name).column))

    def value(self, name: str, value: Any) -> Any:
        return _field(name).get_db_prep_save(value, self._connection)


def _field(name: str) -> Any:
    return DailyUsage._meta.get_field(name)


def _used(tokens: Any, cost: Any) -> Used:
    return Used(int(tokens or 0), Decimal(str(cost or 0)))
