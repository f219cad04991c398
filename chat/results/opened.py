"""An opened answer: the part of it that one request wants to see, in the form that it asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from chat.rendering import visible_text

from . import searching, trees
from .answers import Answer, shown_json
from .tables import Cell, Table, table_of

ROWS = 100
TEXT_CHARACTERS = 50_000
MAX_WORDS_CHARACTERS = 200

TABLE, TREE, TEXT = "table", "tree", "text"


@dataclass(frozen=True)
class Opened:
    """An answer as somebody looks at it.

    `address` is where it is, and `asked` what the query wants: `view` is one of `views`, `path`
    leads to a part of JSON, `from` is where its rest begins, and `q` are words to find.
    """

    answer: Answer
    address: str
    asked: Mapping[str, str]

    @cached_property
    def table(self) -> Table | None:
        """The table that it is, where it is one, less the rows without the words."""
        found = table_of(self.answer.value) if self.answer.is_json else None
        if found is None or not self.words:
            return found
        return found.only(searching.in_rows(found.rows, self.words))

    @property
    def views(self) -> list[str]:
        """How it can be shown, best first."""
        if not self.answer.is_json:
            return [TEXT]
        return [TREE, TEXT] if self.table is None else [TABLE, TREE, TEXT]

    @cached_property
    def view(self) -> str:
        """How it is shown."""
        asked = self.asked.get("view", "")
        return asked if asked in self.views else self.views[0]

    @property
    def path(self) -> str:
        """Where the part stands that is shown."""
        return self.asked.get("path", "") if self.view != TABLE else ""

    @property
    def start(self) -> int:
        """Where what is shown begins, in items, rows or characters."""
        asked = self.asked.get("from", "")
        return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 0

    @property
    def words(self) -> str:
        """What is searched for."""
        return self.asked.get("q", "").strip()[:MAX_WORDS_CHARACTERS]

    @cached_property
    def places(self) -> searching.Places | None:
        """Where the words stand, in a tree or a text."""
        if not self.words or self.view == TABLE:
            return None
        if self.view == TREE:
            return searching.in_value(self.answer.value, self.words)
        return searching.in_text(self.text, self.words)

    @property
    def found(self) -> int:
        """How many places or rows have the words."""
        if self.places is not None:
            return self.places.count
        return 0 if self.table is None else len(self.table.rows)

    @cached_property
    def part(self) -> Any:
        """The value at the path.

        Raises:
            NoSuchPart: there is none.
        """
        return trees.part_at(self.answer.value, self.path)

    @cached_property
    def text(self) -> str:
        """It as text; of a part that is text, that text alone."""
        if isinstance(self.part, str) and self.path:
            return self.part
        if self.path or not self.answer.text:
            return shown_json(self.part)
        return self.answer.text

    @property
    def shown_text(self) -> str:
        """As much of the text as is shown at once."""
        return visible_text(self.text[self.start : self.start + TEXT_CHARACTERS])

    @property
    def rows(self) -> list[list[Cell]]:
        """As many rows of the table as are shown at once."""
        return [] if self.table is None else self.table.part(self.start, ROWS)

    @property
    def more_address(self) -> str:
        """Where the rest of the text or table is; empty where there is none."""
        if self.view == TEXT:
            end, whole = self.start + TEXT_CHARACTERS, len(self.text)
        else:
            end, whole = self.start + ROWS, 0 if self.table is None else len(self.table.rows)
        if end >= whole:
            return ""
        query = {"view": self.view, "path": self.path, "q": self.words, "from": end}
        return f"{self.address}?{urlencode({key: each for key, each in query.items() if each})}"

    @property
    def tree(self) -> str:
        """The part at the path as a tree."""
        return trees.tree(self.part, trees.Bounds(address=self.address), self.path, self.start)

    @property
    def tree_items(self) -> str:
        """The same without the list around it, for a page that has one."""
        return trees.items(self.part, trees.Bounds(address=self.address), self.path, self.start)
