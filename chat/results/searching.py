"""Finds words in what a tool answered: in the values and keys of JSON, and in lines of text."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from chat.rendering import visible_text

from .tables import Row, cell
from .trees import step

MAX_SHOWN = 200
_AROUND = 80


@dataclass(frozen=True, slots=True)
class Place:
    """Where the words stand: the place by name and by path in JSON, and the text around them."""

    name: str
    before: str
    words: str
    after: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Places:
    """The first places, and how many there are in all."""

    shown: list[Place]
    count: int


def in_value(value: Any, words: str) -> Places:
    """The places in JSON whose text or key has the words, whatever their case."""
    return _places(_found(value, words.casefold(), words))


def in_text(text: str, words: str) -> Places:
    """The lines of a text that have the words."""
    wanted = words.casefold()
    return _places(
        (str(number), line, words)
        for number, line in enumerate(text.splitlines(), 1)
        if wanted in line.casefold()
    )


def in_rows(rows: Iterable[Row], words: str) -> Iterator[Row]:
    """The rows of a table of which a cell has the words."""
    wanted = words.casefold()
    return (
        row for row in rows if any(wanted in cell(each).text.casefold() for each in row.values())
    )


def _found(value: Any, wanted: str, words: str) -> Iterator[tuple[str, str, str]]:
    """For each place its path, its text, and the words if they stand in that, not in its key."""
    left: list[tuple[str, str, Any]] = [("", "", value)]
    while left:
        path, key, each = left.pop()
        text = ""
        if isinstance(each, dict):
            inner = [(step(path, name), name, item) for name, item in each.items()]
            left.extend(reversed(inner))
        elif isinstance(each, list):
            inner = [(f"{path}/{number}", "", item) for number, item in enumerate(each)]
            left.extend(reversed(inner))
        else:
            text = _WORDS[each] if each is None or isinstance(each, bool) else str(each)
        if wanted in text.casefold():
            yield path, text, words
        elif key and wanted in key.casefold():
            yield path, text[: 2 * _AROUND], ""


_WORDS = {None: "null", True: "true", False: "false"}


def _place(name: str, text: str, words: str) -> Place:
    at = text.casefold().find(words.casefold()) if words else 0
    # Folding may change lengths: then the whole beginning is shown, and nothing marked.
    if text[at : at + len(words)].casefold() != words.casefold():
        at, words = 0, ""
    end = at + len(words)
    before = text[max(0, at - _AROUND) : at]
    before = f"…{before}" if at > _AROUND else before
    after = text[end : end + _AROUND]
    after = f"{after}…" if end + _AROUND < len(text) else after
    return Place(
        visible_text(name),
        visible_text(before),
        visible_text(text[at:end]),
        visible_text(after),
        path=name if name.startswith("/") else "",
    )


def _places(found: Iterator[tuple[str, str, str]]) -> Places:
    shown = [_place(*each) for each in islice(found, MAX_SHOWN)]
    return Places(shown, len(shown) + sum(1 for _rest in found))
