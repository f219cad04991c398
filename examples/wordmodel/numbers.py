"""Which number of a message belongs to which slot."""

import re
from collections.abc import Mapping
from typing import Any

from .facts import Fact, Text
from .phrases import near
from .schema import Slot
from .words import stem, word_set

_MOST = re.compile(
    r"(?:under|below|less than|at most|up to|max(?:imum)?(?: of)?|cheaper than|no more than|within"
    r"|not more than|fewer than|<=?|older than)\s*[$€£¥]?\s*$",
    re.IGNORECASE,
)
_LEAST = re.compile(
    r"(?:over|above|more than|at least|min(?:imum)?(?: of)?|from|no less than|starting at|>=?)"
    r"\s*[$€£¥]?\s*$",
    re.IGNORECASE,
)
_RANGE = re.compile(r"between\s*[$€£¥]?\s*$", re.IGNORECASE)
_RANGE_END = re.compile(r"between\s.{1,12}\sand\s*[$€£¥]?\s*$", re.IGNORECASE)
_FIRST = re.compile(
    r"(?:top|first|last|latest|newest|recent|only|best|limit(?: to)?|show|list)\s*$", re.IGNORECASE
)
_UPPER = frozenset(map(stem, ("max", "maximum", "upper", "below", "under", "most", "ceiling")))
_LOWER = frozenset(map(stem, ("min", "minimum", "lower", "above", "over", "least", "floor")))
_LIMITS = frozenset(map(stem, word_set("limit top count size results per k num max first n")))
_QUANTITIES = frozenset(map(stem, word_set("quantity qty amount count pieces units number copies")))
_MONEY = frozenset(map(stem, word_set("amount price cost budget total value sum salary fee")))
_IDS = frozenset(map(stem, word_set("id number no num ref reference code key")))
_SECONDS = {"second": 1, "minut": 60, "hour": 3600, "day": 86400, "week": 604800}
_UNITS = frozenset(_SECONDS)


def fit(slot: Slot, fact: Fact, text: Text) -> float:
    """How well a number fits a slot by the words around it; 0 where nothing speaks for it."""
    if value(slot, fact, text) is None:
        return 0.0
    own = frozenset(slot.words)
    left, right = near(text, fact)
    before = text.text[: fact.start] + ("" if not fact.unit else " ")
    score = 0.0
    telling = own - _UPPER - _LOWER - _LIMITS - _IDS
    if telling & {*left[-2:], *right}:
        score += 3
    elif slot.described_words & {*left[-1:], *right[:1]} - _UNITS:
        score += 1
    if slot.words[-1:] and left[-1:] == [slot.words[-1]]:
        score += 2
    if _RANGE_END.search(before) or _MOST.search(before):
        score += 4 if own & _UPPER else -2
    elif _RANGE.search(before) or _LEAST.search(before):
        score += 4 if own & _LOWER else -2
    elif own & (_UPPER | _LOWER) and not own & _LIMITS - _UPPER:
        score -= 1
    if own & _LIMITS and (_FIRST.search(before) or {"result", "entry", "item"} & set(right)):
        score += 3
    if own & _QUANTITIES and not fact.unit and right and not _FIRST.search(before):
        score += 2
    if fact.unit and fact.unit not in ("%", "#") and own & _MONEY:
        score += 3
    if fact.unit == "%" and own & frozenset(map(stem, ("percent", "percentage", "rate", "tip"))):
        score += 3
    if fact.unit == "#" and own & _IDS:
        score += 3
    if own & _UNITS and set(right[:1]) & _UNITS:
        score += 3
    if "year" in own and isinstance(fact.value, int) and 1900 <= fact.value <= 2100:
        score += 3
    return score


def span(slot: Slot, fact: Fact, text: Text) -> tuple[int, int]:
    """The number with the words that only say what it is: "under 20 euros", "for 4 guests"."""
    start, end = fact.start, fact.end
    lead = text.text[:start]
    for cue in (_MOST, _LEAST, _RANGE, _RANGE_END, _FIRST):
        if match := cue.search(lead):
            start = min(start, match.start())
    following = [token for token in text.tokens if token.start >= end][:1]
    for token in following:
        if token.stem in _UNITS or token.stem in slot.words or token.stem in ("result", "entry"):
            end = token.end
    return start, end


def is_an_amount(fact: Fact, text: Text) -> bool:
    """Whether a number counts or measures something, so that it is no id."""
    lead = text.text[: fact.start]
    return fact.unit not in ("", "#") or any(cue.search(lead) for cue in (_MOST, _LEAST, _FIRST))


def value(slot: Slot, fact: Fact, text: Text) -> int | float | None:
    """The number as the slot takes it: in its unit, whole where it must be, within its limits."""
    number: int | float = fact.value
    _, right = near(text, fact)
    wanted = _UNITS & set(slot.words)
    if wanted and right and right[0] in _SECONDS:
        number = number * _SECONDS[right[0]] / _SECONDS[next(iter(wanted))]
    return checked(slot, number)


def checked(slot: Slot, number: Any) -> int | float | None:
    """A number, if the slot's own limits let it pass."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    if slot.type == "integer" or float(number).is_integer():
        if not float(number).is_integer():
            return None
        number = int(number)
    return number if _within(slot.schema, number) else None


def _within(schema: Mapping[str, Any], number: int | float) -> bool:
    def limit(keyword: str) -> float | None:
        stated = schema.get(keyword)
        known = isinstance(stated, int | float) and not isinstance(stated, bool)
        return stated if known else None

    least, most = limit("minimum"), limit("maximum")
    above, below = limit("exclusiveMinimum"), limit("exclusiveMaximum")
    return (
        (least is None or number >= least)
        and (most is None or number <= most)
        and (above is None or number > above)
        and (below is None or number < below)
    )
