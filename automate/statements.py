"""Single statements on a model's own table, without the ORM's way of putting them together.

For the few that a turn runs over and over, and for many rows at once: the ORM compiles each anew,
which takes several times what running it does. Django's signals, `save` and `auto_now` are not part
of it.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from sqlite3 import SQLITE_LIMIT_VARIABLE_NUMBER
from typing import Any, NamedTuple

from django.db import connections, models, router
from django.db.models.constants import OnConflict

from .databases import in_line
from .fields import ExactCharField
from .sql import Statement

Model = type[models.Model]
Shape = tuple[tuple[str, int], ...]
"""The columns of a condition, each with the number of its values."""

MAX_PARAMETERS = 60_000
"""In one statement; PostgreSQL takes 65,535."""


@dataclass(frozen=True, slots=True)
class Plus:
    """What the column holds and this, added up by the database."""

    amount: Any


def update_rows(
    model: Model, where: Mapping[str, Any], values: Mapping[str, Any], *, using: str | None = None
) -> int:
    """`UPDATE` the rows whose columns equal all of these; a tuple means any of its values.

    `None` equals nothing. Returns how many rows there were.
    """
    alias = using or router.db_for_write(model)
    connection: Any = connections[alias]
    columns = _columns(model, connection.vendor)
    changes, sent = [], []
    for name, value in values.items():
        is_added = isinstance(value, Plus)
        changes.append((name, is_added))
        sent.append(columns[name].prepared(value.amount if is_added else value, connection))
    where_shape = _add_condition(where, columns, connection, sent)
    return _executed(_update(model, alias, tuple(changes), where_shape), connection, sent)


def delete_rows(model: Model, where: Mapping[str, Any], *, using: str | None = None) -> int:
    """`DELETE` such rows, to which no others may refer. Returns how many there were."""
    alias = using or router.db_for_write(model)
    connection: Any = connections[alias]
    sent: list[Any] = []
    shape = _add_condition(where, _columns(model, connection.vendor), connection, sent)
    return _executed(_delete(model, alias, shape), connection, sent)


def insert_rows(
    rows: Sequence[models.Model], *, using: str | None = None, ignores_conflicts: bool = False
) -> None:
    """`INSERT` new rows of one model, by as few statements as there can be; each gets its key.

    With `ignores_conflicts`, rows that are there already are passed over, and none gets a key.
    """
    if not rows:
        return
    model = type(rows[0])
    alias = using or router.db_for_write(model)
    connection: Any = connections[alias]
    columns = _inserted(model, connection.vendor)
    wants_keys = _is_automatic(model._meta.pk) and not ignores_conflicts
    at_once = 1 if len(rows) == 1 else _rows_at_once(connection, len(columns), wants_keys)
    for start in range(0, len(rows), at_once):
        batch = rows[start : start + at_once]
        keys = _insert_batch(model, connection, batch, columns, wants_keys, ignores_conflicts)
        for row, key in zip(batch, keys, strict=bool(keys)):
            row.pk = key
            row._state.adding, row._state.db = False, alias


class _Column(NamedTuple):
    """Where a value goes: the field that prepares it, and the type that needs no preparation."""

    field: Any
    plain: type | None
    takes_null: bool

    @classmethod
    def of(cls, field: Any, vendor: str) -> "_Column":
        takes_null = not isinstance(field, models.JSONField)
        if isinstance(field, models.ForeignKey):
            field = field.target_field
        plain = _PLAIN.get(type(field))
        if type(field) in _NUMBERS and vendor in ("mysql", "sqlite"):
            plain = int
        return cls(field, plain, takes_null)

    def prepared(self, value: Any, connection: Any) -> Any:
        """What the database is sent for it."""
        if type(value) is self.plain or (value is None and self.takes_null):
            return value
        if self.plain is str and isinstance(value, str):  # such as one of `TextChoices`
            return value
        if isinstance(value, models.Model):
            value = value.pk
        return self.field.get_db_prep_save(value, connection)


_PLAIN: Mapping[type, type] = {
    models.BooleanField: bool,
    models.CharField: str,
    ExactCharField: str,
    models.FloatField: float,
    models.TextField: str,
}
"""What goes to every database unchanged, by the kind of its field. It is most of a row, and a field
takes a while to come to the same. A subclass may have a form of its own."""

_NUMBERS = (
    models.AutoField,
    models.BigAutoField,
    models.BigIntegerField,
    models.IntegerField,
    models.PositiveBigIntegerField,
    models.PositiveIntegerField,
    models.PositiveSmallIntegerField,
    models.SmallAutoField,
    models.SmallIntegerField,
)
"""What goes unchanged to every database but PostgreSQL, which has a type for each of them."""


def _add_condition(
    where: Mapping[str, Any], columns: "Mapping[str, _Column]", connection: Any, sent: list[Any]
) -> Shape:
    """Add what rows must be equal to, value by value, to what is sent. Returns the shape of it."""
    shape = []
    for name, value in where.items():
        values = value if isinstance(value, tuple) else (value,)
        shape.append((name, len(values)))
        sent += [columns[name].prepared(each, connection) for each in values]
    return tuple(shape)


def _executed(statement: Statement, connection: Any, sent: Sequence[Any]) -> int:
    with in_line(connection), closing(statement.run(connection, sent)) as cursor:
        return int(cursor.rowcount)


def _insert_batch(
    model: Model,
    connection: Any,
    rows: Sequence[models.Model],
    columns: Sequence[tuple[str, _Column]],
    wants_keys: bool,
    ignores_conflicts: bool,
) -> list[Any]:
    """The keys of the rows, as far as they are known now."""
    if len(rows) == 1:
        row = rows[0]
        sent = [column.prepared(getattr(row, name), connection) for name, column in columns]
    else:
        each = [
            _column_values(column, [getattr(row, name) for row in rows], connection)
            for name, column in columns
        ]
        sent = [*chain.from_iterable(zip(*each, strict=True))]
    returns_keys = wants_keys and connection.features.can_return_rows_from_bulk_insert
    if len(rows) == 1 and connection.vendor == "sqlite":
        returns_keys = False  # its cursor knows the key, and `RETURNING` is one more step
    statement = _insert(model, connection.alias, len(rows), returns_keys, ignores_conflicts)
    with in_line(connection):
        if returns_keys:
            return [found[0] for found in statement.rows(connection, sent)]
        with closing(statement.run(connection, sent)) as cursor:
            if wants_keys:
                key: Any = model._meta.pk
                return [connection.ops.last_insert_id(cursor, model._meta.db_table, key.column)]
    return [] if ignores_conflicts else [row.pk for row in rows]


def _column_values(column: _Column, values: list[Any], connection: Any) -> list[Any]:
    if isinstance(column.field, models.JSONField):
        return [column.prepared(value, connection) for value in values]
    if column.plain and all(type(value) is column.plain for value in values):
        return values
    # Most columns of many rows hold a few values over and over.
    kinds = [(type(value), value) for value in values]
    prepared = {kind: column.prepared(kind[1], connection) for kind in set(kinds)}
    return [prepared[kind] for kind in kinds]


def _rows_at_once(connection: Any, columns: int, wants_keys: bool) -> int:
    """How many rows one statement may hold; one where the database would not tell their keys."""
    if wants_keys and not connection.features.can_return_rows_from_bulk_insert:
        return 1
    most = MAX_PARAMETERS
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        most = min(most, connection.connection.getlimit(SQLITE_LIMIT_VARIABLE_NUMBER))
    return max(1, most // columns)


# What follows puts together names of our own and placeholders, and never a value.


@lru_cache(maxsize=512)
def _update(
    model: Model, alias: str, changes: tuple[tuple[str, bool], ...], where: Shape
) -> Statement:
    parts = []
    for name, is_added in changes:
        column = _column(model, alias, name)
        parts.append(f"{column} = {column} + %s" if is_added else f"{column} = %s")
    table = _table(model, alias)
    sql = f"UPDATE {table} SET {', '.join(parts)}{_where(model, alias, where)}"  # noqa: S608
    return Statement(sql)


@lru_cache(maxsize=512)
def _delete(model: Model, alias: str, where: Shape) -> Statement:
    sql = f"DELETE FROM {_table(model, alias)}{_where(model, alias, where)}"  # noqa: S608
    return Statement(sql)


@lru_cache(maxsize=512)
def _insert(
    model: Model, alias: str, rows: int, returns_keys: bool, ignores_conflicts: bool
) -> Statement:
    operations = connections[alias].ops
    fields = [field for field in model._meta.concrete_fields if not _is_automatic(field)]
    columns = ", ".join(_column(model, alias, field.attname) for field in fields)
    places = ", ".join([f"({', '.join(['%s'] * len(fields))})"] * rows)
    conflict = OnConflict.IGNORE if ignores_conflicts else None
    verb = operations.insert_statement(on_conflict=conflict)
    ending = operations.on_conflict_suffix_sql(fields, conflict, [], []) if conflict else ""
    if returns_keys:
        key: Any = model._meta.pk
        ending = f"RETURNING {_column(model, alias, key.attname)}"
    sql = f"{verb} {_table(model, alias)} ({columns}) VALUES {places} {ending}"
    return Statement(sql)


def _where(model: Model, alias: str, where: Shape) -> str:
    parts = []
    for name, values in where:
        column = _column(model, alias, name)
        several = ", ".join(["%s"] * values) or "NULL"
        parts.append(f"{column} = %s" if values == 1 else f"{column} IN ({several})")
    return f" WHERE {' AND '.join(parts)}" if parts else ""


def _table(model: Model, alias: str) -> str:
    return connections[alias].ops.quote_name(model._meta.db_table)


def _column(model: Model, alias: str, name: str) -> str:
    return connections[alias].ops.quote_name(str(_fields(model)[name].column))


@lru_cache(maxsize=64)
def _fields(model: Model) -> Mapping[str, Any]:
    fields = model._meta.concrete_fields
    return {**{field.name: field for field in fields}, **{field.attname: field for field in fields}}


@lru_cache(maxsize=128)
def _columns(model: Model, vendor: str) -> Mapping[str, _Column]:
    return {name: _Column.of(field, vendor) for name, field in _fields(model).items()}


@lru_cache(maxsize=128)
def _inserted(model: Model, vendor: str) -> tuple[tuple[str, _Column], ...]:
    """The columns of a new row, by the names of its attributes."""
    fields = model._meta.concrete_fields
    return tuple(
        (field.attname, _Column.of(field, vendor)) for field in fields if not _is_automatic(field)
    )


def _is_automatic(field: Any) -> bool:
    return bool(field.primary_key) and field.get_internal_type().endswith("AutoField")
