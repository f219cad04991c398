"""A tool's arguments, taken from what a person wrote."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .facts import Text
from .families import Family, family, is_source, is_target
from .phrases import Span
from .readers import Reader
from .schema import Path, Slot
from .tools import Tool

_CLEAR: frozenset[Family] = frozenset({"email", "url", "sql", "sum", "repository", "id", "path"})


@dataclass
class Filled:
    """What was found for a tool, what it still needs, and how clearly the message gave it.

    `others` are the same arguments with the next value of a list ("Paris and Berlin").
    `claimed` are the stretches of the question that the values came from.
    """

    arguments: dict[str, Any]
    missing: list[Slot]
    clear: int = 0
    others: list[dict[str, Any]] = field(default_factory=list)
    claimed: list[Span] = field(default_factory=list)


def fill(
    tool: Tool,
    texts: Sequence[Text],
    trimmed: Collection[str] = (),
    known: Mapping[Path, Any] | None = None,
    claimed: Sequence[Span] = (),
) -> Filled:
    """Find a value for every slot of a tool that a message speaks of.

    `texts` are the question, then answers to what was asked back; an answer fills only what
    the question left open. `known` are values that are settled already, `claimed` stretches of
    the question that mean something else.
    """
    values: dict[Path, Any] = dict(known or {})
    clear = 0
    others: tuple[Slot, list[Any]] | None = None
    spans: list[Span] = []
    for number, text in enumerate(texts):
        missing = _missing(tool.slots, values)
        if number and not missing:
            break
        reader = Reader(tool, text, trimmed, () if number else claimed)
        for slot, value, certain in _read(reader, tool.slots, values, answering=bool(number)):
            values[slot.path] = value
            clear += certain
        others = others or reader.others(values)
        spans = spans or list(reader.claimed)
    _settle(tool.slots, values)
    places = [slot for slot in tool.slots if family(slot) == "place" and slot.path in values]
    clear += any(map(is_source, places)) and any(map(is_target, places))
    missing = _missing(tool.slots, values)
    # An optional object that lacks something it needs is left out as a whole.
    dropped = {slot.optional_parent for slot in missing if slot.optional_parent is not None}
    kept = {path: value for path, value in values.items() if not _below(path, dropped)}
    values = {slot.path: kept[slot.path] for slot in tool.slots if slot.path in kept}
    filled = Filled(_build(values), [slot for slot in missing if slot.needed], clear)
    filled.claimed = spans
    if others and not tool.writes:
        slot, more = others
        filled.others = [_build({**values, slot.path: each}) for each in more]
    return filled


def _read(
    reader: Reader, slots: Sequence[Slot], values: Mapping[Path, Any], *, answering: bool
) -> Iterator[tuple[Slot, Any, bool]]:
    """Values in the order of how clearly they were said; each slot and each word once."""
    done = set(values)
    wanted = [slot for slot in slots if slot.path not in done]
    before = len(done)
    for certain, read in (
        (True, reader.stated),
        (True, reader.typed),
        (True, reader.numbered),
        (False, reader.cued),
        (False, reader.left_over),
    ):
        for slot, value in read([slot for slot in wanted if slot.path not in done]):
            done.add(slot.path)
            kind = family(slot)
            yield slot, value, certain and (slot.needed or kind in _CLEAR or kind == "choice")
    if (
        answering
        and len(done) == before
        and (rest := [s for s in wanted if s.path not in done and s.needed])
    ):
        for slot, value in reader.whole(rest):
            yield slot, value, False


def _settle(slots: Sequence[Slot], values: dict[Path, Any]) -> None:
    """Take what the schema itself says where nothing else is known and something must be."""
    for slot in slots:
        if slot.path in values or not slot.needed:
            continue
        if "default" in slot.schema:
            values[slot.path] = slot.schema["default"]
        elif len(slot.choices) == 1:
            values[slot.path] = [slot.choices[0]] if slot.plural else slot.choices[0]


def _missing(slots: Sequence[Slot], values: Mapping[Path, Any]) -> list[Slot]:
    """Slots that must be there and are not, the parts of a begun object included."""
    begun = {path[:length] for path in values for length in range(len(path))}
    return [
        slot
        for slot in slots
        if slot.path not in values
        and slot.required
        and (slot.optional_parent is None or slot.optional_parent in begun)
    ]


def _below(path: Path, dropped: Collection[Path]) -> bool:
    return any(path[: len(each)] == each for each in dropped)


def _build(values: Mapping[Path, Any]) -> dict[str, Any]:
    """Nest values by their paths; a `0` in a path makes a list of one."""
    built: dict[str, Any] = {}
    for path, value in values.items():
        place: Any = built
        for part, following in zip(path, path[1:], strict=False):
            fresh: Any = [] if following == 0 else {}
            if isinstance(place, list):
                if not place:
                    place.append(fresh)
                place = place[0]
            else:
                place = place.setdefault(part, fresh)
        if isinstance(place, list):
            place.append(value)
        else:
            place[path[-1]] = value
    return built
