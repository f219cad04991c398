"""How two definitions of a tool differ: words in texts, paths in schemas."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice
from typing import Any, Literal

from .definitions import Definition

MAX_CHANGES = 300
"""Of one schema; a reviewer is told how many more there are."""

_MAX_DEPTH = 64
_MISSING: Any = object()
_WORD = re.compile(r"\s*\w+|\s*[^\w\s]|\s+")
_PLAIN_NAME = re.compile(r"[\w$-]+")

Kind = Literal["same", "added", "removed"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Words that are in both texts, or only in the later or the earlier one."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """What differs at one place of a schema. `pieces` compare two texts, where both are some."""

    path: str
    kind: Literal["changed", "added", "removed"]
    before: Any = None
    after: Any = None

    @property
    def pieces(self) -> list[Piece]:
        """The words of both, where both are texts of several words."""
        texts = self.kind == "changed" and isinstance(self.before, str)
        if not texts or not isinstance(self.after, str) or " " not in self.before + self.after:
            return []
        return word_changes(self.before, self.after)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """How one part of a definition differs: by words, or by paths; `more` are not listed."""

    field: str
    pieces: list[Piece]
    changes: list[Change]
    more: int = 0


def definition_changes(before: Definition, after: Definition) -> list[FieldChange]:
    """The parts of a definition that differ, in the order in which people read them."""
    fields = Definition.__annotations__
    found = [_field_change(field, before.get(field), after.get(field)) for field in fields]
    return [change for change in found if change.pieces or change.changes]


def word_changes(before: str, after: str) -> list[Piece]:
    """The words of two texts side by side; the spaces before a word belong to it."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    pieces: list[Piece] = []

    def add(kind: Kind, words: list[str]) -> None:
        if words:
            pieces.append(Piece(kind, "".join(words)))

    # Words that come again and again are passed over as anchors, without which a text made for
    # it would take minutes.
    for operation, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes():
        if operation == "equal":
            add("same", old[a:b])
        else:
            add("removed", old[a:b])
            add("added", new[c:d])
    return pieces


def path_changes(before: Any, after: Any) -> Iterator[Change]:
    """Every place at which two JSON values differ, with its path, such as `properties.limit`."""
    return _changes(before, after, "", 0)


def _field_change(field: str, before: Any, after: Any) -> FieldChange:
    if isinstance(before, str) and isinstance(after, str):
        return FieldChange(field, [] if before == after else word_changes(before, after), [])
    changes = path_changes(before, after)
    listed = list(islice(changes, MAX_CHANGES))
    return FieldChange(field, [], listed, more=sum(1 for _ in changes))


def _changes(before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    if before is after:
        return
    if before is _MISSING or after is _MISSING:
        if before is _MISSING:
            yield Change(path, "added", after=after)
        else:
            yield Change(path, "removed", before=before)
    elif isinstance(before, dict) and isinstance(after, dict) and depth < _MAX_DEPTH:
        yield from _changes_of_objects(before, after, path, depth + 1)
    elif isinstance(before, list) and isinstance(after, list) and depth < _MAX_DEPTH:
        yield from _changes_of_arrays(before, after, path, depth + 1)
    elif _text(before) != _text(after):
        yield Change(path, "changed", before, after)


def _changes_of_objects(
    before: Mapping[str, Any], after: Mapping[str, Any], path: str, depth: int
) -> Iterator[Change]:
    for name in [*before, *(name for name in after if name not in before)]:
        inner = _joined(path, name)
        yield from _changes(before.get(name, _MISSING), after.get(name, _MISSING), inner, depth)


def _changes_of_arrays(
    before: list[Any], after: list[Any], path: str, depth: int
) -> Iterator[Change]:
    if any(isinstance(each, dict | list) for each in (*before, *after)):
        for number in range(max(len(before), len(after))):
            old = before[number] if number < len(before) else _MISSING
            new = after[number] if number < len(after) else _MISSING
            yield from _changes(old, new, f"{path}[{number}]", depth)
        return
    # Of names and values it matters which there are, and not where each stands.
    gone, come = _without(before, after), _without(after, before)
    if not gone and not come and _text(before) != _text(after):
        yield Change(path, "changed", before, after)
    for value in gone:
        yield Change(path, "removed", before=value)
    for value in come:
        yield Change(path, "added", after=value)


def _without(values: list[Any], others: list[Any]) -> list[Any]:
    known = set(map(_text, others))
    return [value for value in values if _text(value) not in known]


def _text(value: Any) -> str:
    """What tells two values apart that Python takes for equal, such as 1 and true."""
    return json.dumps(value, sort_keys=True)


def _joined(path: str, name: str) -> str:
    """The path one name deeper; a name that could be taken for a path stands in quotes."""
    if _PLAIN_NAME.fullmatch(name):
        return f"{path}.{name}" if path else name
    return f"{path}[{json.dumps(name, ensure_ascii=False)}]"
