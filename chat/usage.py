"""What each person used on each day, added up and asked for around every model request.

Neither statement is the ORM's: putting them together takes it twenty times as long as it takes to
run them, four times in an ordinary turn.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Self

from django.db import connections, router, transaction

from automate.statements import Plus, update_rows

from .models import DailyUsage


@dataclass(frozen=True, slots=True)
class Amount:
    """What some model requests used."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal = Decimal(0)

    @property
    def tokens(self) -> int:
        """In and out together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost + other.cost,
        )


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens, in and out together, and money."""

    tokens: int
    cost: Decimal


def add_usage(day: date, user_id: Any, used: Amount) -> None:
    """Add to this person's day by one `UPDATE`; the first of a day makes its row."""
    own = {"day": day, "user_id": user_id}
    more = {
        "prompt_tokens": Plus(used.prompt_tokens),
        "completion_tokens": Plus(used.completion_tokens),
        "cost": Plus(used.cost),
    }
    if not update_rows(DailyUsage, own, more):
        with transaction.atomic(using=router.db_for_write(DailyUsage)):
            # Of several workers that make it at once, one does, and all go on.
            row = DailyUsage(day=day, user_id=user_id)
            DailyUsage.objects.bulk_create([row], ignore_conflicts=True)
        update_rows(DailyUsage, own, more)


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
            f"SELECT SUM(({tokens}) * {is_own}), SUM({cost} * {is_own}), "  # noqa: S608 # own names
            f"SUM({tokens}), SUM({cost}) FROM {table.name} WHERE {where}",
            values,
        )
        own_tokens, own_cost, all_tokens, all_cost = cursor.fetchone()
    return _used(own_tokens, own_cost), _used(all_tokens, all_cost)


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
