"""The beginning of an answer, as its card shows it: of what the model got, never of the whole."""

from dataclasses import dataclass

from chat.rendering import visible_text

from . import trees
from .answers import parsed
from .tables import Cell, Table, table_of

MAX_PARSED_CHARACTERS = 20_000
MAX_TEXT_CHARACTERS = 2_000
ROWS = 6
COLUMNS = 6
BOUNDS = trees.Bounds(lines=40, width=20, opened=24, text=200)


@dataclass(frozen=True, slots=True)
class Preview:
    """A table, a tree, or a text; `rest` is how many rows or characters are not shown."""

    table: Table | None = None
    rows: list[list[Cell]] | None = None
    tree: str = ""
    text: str = ""
    rest: int = 0


def preview_of(text: str) -> Preview:
    """What a card shows of a result."""
    value = parsed(text) if len(text) <= MAX_PARSED_CHARACTERS else None
    if not value:
        shown = visible_text(text[:MAX_TEXT_CHARACTERS])
        return Preview(text=shown, rest=max(0, len(text) - MAX_TEXT_CHARACTERS))
    table = table_of(value, COLUMNS)
    if table is None:
        return Preview(tree=trees.tree(value, BOUNDS))
    return Preview(table, table.part(0, ROWS), rest=max(0, len(table.rows) - ROWS))
