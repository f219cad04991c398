"""Lists of flat objects as tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

MAX_COLUMNS = 30
LOOKED_AT = 1_000
"""So many rows say whether a list is a table, and what its columns are."""

LOOKED_AT_FOR_KIND = 20
MAX_FACTS = 12
MAX_CELL_CHARACTERS = 300

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a table, as text; `kind` is what it was in JSON."""

    text: str
    kind: str


@dataclass(frozen=True)
class Table:
    """A list of objects whose values are plain.

    `facts` are the plain values beside the list, where one object holds both.
    """

    rows: Sequence[Row]
    all_columns: Sequence[str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    max_columns: int = MAX_COLUMNS

    @cached_property
    def columns(self) -> Sequence[str]:
        """The columns that are shown."""
        return self.all_columns[: self.max_columns]

    @property
    def headings(self) -> list[Cell]:
        """The names of the columns, each of the kind that its values are."""
        first = self.rows[:LOOKED_AT_FOR_KIND]
        return [Cell(column, _kind(row.get(column) for row in first)) for column in self.columns]

    @property
    def more_columns(self) -> int:
        """How many columns are not shown."""
        return len(self.all_columns) - len(self.columns)

    def part(self, start: int, count: int) -> list[list[Cell]]:
        """The cells of some of its rows."""
        rows = self.rows[start : start + count]
        return [[cell(row.get(column)) for column in self.columns] for row in rows]

    def only(self, rows: Iterable[Row]) -> "Table":
        """The same table with fewer rows."""
        return Table(list(rows), self.all_columns, self.facts, self.max_columns)


def table_of(value: Any, max_columns: int = MAX_COLUMNS) -> Table | None:
    """The table that a JSON value is, or holds beside a few plain values; else nothing."""
    if isinstance(value, list):
        columns = _columns(value)
        return Table(value, columns, max_columns=max_columns) if columns else None
    if not isinstance(value, dict) or len(value) > MAX_FACTS:
        return None
    lists = [each for each in value.values() if isinstance(each, list | dict)]
    if len(lists) != 1 or not isinstance(lists[0], list) or not (columns := _columns(lists[0])):
        return None
    facts = {name: each for name, each in value.items() if each is not lists[0]}
    return Table(lists[0], columns, facts, max_columns)


def cell(value: Any) -> Cell:
    """A plain value, or a list of them, as the cell of a table."""
    match value:
        case None:
            return Cell("–", "nothing")
        case bool():
            return Cell("true" if value else "false", "bool")
        case int() | float():
            return Cell(str(value), "number")
        case list():
            return Cell(_cut(", ".join(cell(each).text for each in value[:50])), "text")
        case _:
            return Cell(_cut(str(value)), "text")


def _kind(values: Iterable[Any]) -> str:
    kinds = {cell(value).kind for value in values} - {"nothing"}
    return kinds.pop() if len(kinds) == 1 else "text"


def _columns(rows: Sequence[Any]) -> list[str]:
    """The names of the columns, in the order of the first row that has each; none if no table."""
    if not rows or not all(isinstance(row, dict) for row in rows):
        return []
    seen: dict[str, None] = {}
    for row in islice(rows, LOOKED_AT):
        if not all(map(_is_plain, row.values())):
            return []
        seen.update(dict.fromkeys(row))
    return list(seen)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(not isinstance(each, dict | list) for each in value)
    return not isinstance(value, dict)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CELL_CHARACTERS else f"{text[:MAX_CELL_CHARACTERS]}…"
