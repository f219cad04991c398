"""Queries that are put together once, and then run with other values each time.

Building a queryset and compiling its SQL takes several times what the database takes to answer;
where a turn asks the same again and again, that is most of its CPU. The rows are made by Django's
own iterables, so that they are what the queryset itself would have given.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from django.db import connections, router
from django.db.models import Expression, Model, QuerySet
from django.db.models.query import ModelIterable
from django.db.models.sql.compiler import SQLCompiler

from .sql import Statement

Row = TypeVar("Row")


class Place(Expression):
    """Where a value goes that differs each time: one that the field holds, and never `None`.

    It is given under `name`, or else under the name of the field.
    """

    def __init__(self, model: type[Model], field: str, name: str = "") -> None:
        options = model._meta
        column: Any = options.pk if field == "pk" else options.get_field(field)
        super().__init__(output_field=column)
        self.name = name or field

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, Any]:
        """One placeholder; its parameter is this object itself."""
        return "%s", [self]

    def value(self, given: Mapping[str, Any], connection: Any) -> Any:
        """What the database is sent in this place."""
        # In two steps, as a lookup does it: MySQL refuses 0 as a key, but in a comparison.
        value = self.output_field.get_prep_value(given[self.name])
        return self.output_field.get_db_prep_value(value, connection, prepared=True)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A queryset's SQL, and the compiler that knows what its columns are."""

    queryset: "QuerySet[Any, Any]"
    compiler: Any
    statement: Statement
    parameters: Sequence[Any]
    converters: Sequence[tuple[int, Sequence[Callable[..., Any]], Any]]

    @classmethod
    def of(cls, queryset: "QuerySet[Any, Any]") -> "_Compiled":
        # Kept for good, so it must not keep a thread's own connection from being closed with it.
        connection = connections[queryset.db].copy()
        try:
            compiler: Any = connection.ops.compiler(queryset.query.compiler)(
                queryset.query, connection, queryset.db
            )
            sql, parameters = compiler.as_sql()
            fields = [selected[0] for selected in compiler.select[: compiler.col_count]]
            return cls(
                queryset=queryset,
                compiler=compiler,
                statement=Statement(sql),
                parameters=parameters,
                converters=[
                    (place, *how) for place, how in compiler.get_converters(fields).items()
                ],
            )
        finally:
            connection.close()

    def rows(self, given: Mapping[str, Any]) -> list[Any]:
        """What the database answers to these values."""
        connection = connections[self.queryset.db]
        values = [
            each.value(given, connection) if isinstance(each, Place) else each
            for each in self.parameters
        ]
        rows = self.statement.rows(connection, values)
        if not rows:
            return rows
        if self.converters:
            rows = [self._converted(row, connection) for row in rows]
        if not issubclass(self.queryset._iterable_class, ModelIterable):
            return rows
        query: Any = _Query(self.compiler, rows)
        model, using = self.queryset.model, self.queryset.db
        return list(ModelIterable(QuerySet(model, query=query, using=using)))

    def _converted(self, row: Sequence[Any], connection: Any) -> tuple[Any, ...]:
        values = list(row)
        for place, functions, expression in self.converters:
            for convert in functions:
                values[place] = convert(values[place], expression, connection)
        return tuple(values)


class _Query:
    """Stands where a queryset has its query, and that one its compiler: the rows are there."""

    def __init__(self, compiler: Any, rows: list[Any]) -> None:
        self.select = compiler.select
        self.klass_info = compiler.klass_info
        self.annotation_col_map = compiler.annotation_col_map
        self._rows = rows

    def get_compiler(self, using: str) -> Self:
        return self

    def execute_sql(self, **_: Any) -> list[Any]:
        return self._rows

    def results_iter(self, rows: list[Any]) -> list[Any]:
        return rows


class CompiledQuery(Generic[Row]):
    """A queryset of instances, or of tuples by `values_list`, compiled at its first use.

    `build` is called once for each database. Wherever it compares a column with a value, that may
    be a `Place`.
    """

    def __init__(self, build: "Callable[[], QuerySet[Any, Row]]") -> None:
        self._build = build
        self._compiled: dict[str, _Compiled] = {}
        self._model: Any = None

    def rows(self, *, using: str | None = None, **given: Any) -> list[Row]:
        """Ask, with these values in their places."""
        if self._model is None:
            self._model = self._build().model
        alias = using or router.db_for_read(self._model)
        compiled = self._compiled.get(alias)
        if compiled is None:
            compiled = self._compiled[alias] = _Compiled.of(self._build().using(alias))
        return compiled.rows(given)

    def first(self, *, using: str | None = None, **given: Any) -> Row | None:
        """The first of the rows; nothing where there is none."""
        rows = self.rows(using=using, **given)
        return rows[0] if rows else None
