"""What a tool message holds: data, plain text, or word of a failure."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .conversation import Call
from .schema import Slot
from .words import split_identifier, stem

_FAILURE = re.compile(
    r"\W*(the tool |tool |the call |this call |it )?"
    r"(error|fail|invalid|exception|traceback|refus|not run|not found|denied|forbidden|could not"
    r"|cannot|can't|unknown (tool|function)|connection error|http [45]\d\d|timed? ?out"
    r"|the arguments|missing|no (answer|connection))",
    re.IGNORECASE,
)
_ARGUMENTS = re.compile(
    r"argument|parameter|is (a )?required|required property|missing"
    r"|is not (of type|one of|a |valid)|does not (match|fit)|do not fit|should be|must (be|match)"
    r"|invalid|validation|unexpected|additional propert|too (long|short|small|large|many|few)"
    r"|less than|greater than",
    re.IGNORECASE,
)
_CUT = "\n[Cut here: "
"""How the site marks a result that was too long for a model."""

_FRAME = re.compile(r"^(?:Error: |The tool failed: )")
"""How the site begins the message for a call that failed."""

_WRAPPER = 300
"""Characters of words round the data that are taken for a frame and not for the answer."""


@dataclass(frozen=True)
class Result:
    """A tool's answer, understood as far as it goes."""

    text: str
    data: Any
    has_data: bool

    @property
    def said(self) -> str:
        """The words of a failure, without the site's own first word."""
        return _FRAME.sub("", self.text)

    @cached_property
    def failed(self) -> bool:
        """Whether the tool, or the way to it, failed."""
        if isinstance(self.data, Mapping):
            error = self.data.get("error") or self.data.get("errors")
            return bool(error) or self.data.get("isError") is True
        return not self.has_data and bool(_FAILURE.match(self.text))

    @property
    def blames_arguments(self) -> bool:
        """Whether the failure is about the arguments, so that others may do better."""
        return self.failed and bool(_ARGUMENTS.search(self.text))

    @cached_property
    def rows(self) -> list[Mapping[str, Any]]:
        """The objects of the answer: those of its list, else the one object that it is."""
        value = self.data
        if isinstance(value, Mapping):
            lists = [each for each in value.values() if _is_table(each)]
            value = lists[0] if len(lists) == 1 else [value]
        return [row for row in value if isinstance(row, Mapping)] if _is_table(value) else []


def read_result(call: Call) -> Result:
    """Understand a call's tool message: JSON, JSON in a frame of words, or text."""
    text = (call.answer or "").strip()
    found, value = _data(text)
    if found and isinstance(value, Mapping) and len(value) == 1:
        inner = next(iter(value.values()))
        if "result" in value or "structuredContent" in value:
            value = inner
    if found and isinstance(value, str):
        return Result(value.strip(), None, False)
    return Result(text, value, found)


def _data(text: str) -> tuple[bool, Any]:
    try:
        return True, json.loads(text)
    except (ValueError, RecursionError):
        pass
    opening = re.search(r"[{\[]", text[:_WRAPPER])
    if opening is None:
        return False, None
    try:
        value, end = json.JSONDecoder().raw_decode(text, opening.start())
    except (ValueError, RecursionError):
        rows = list(_whole_objects(text)) if _CUT in text else []
        return bool(rows), rows
    framed = len(text) - end <= _WRAPPER and isinstance(value, dict | list)
    return (True, value) if framed and value else (False, None)


def _whole_objects(text: str) -> Iterator[Any]:
    """The objects of a list whose end was cut off."""
    decoder = json.JSONDecoder()
    position = text.find("[") + 1
    while position:
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            return
        yield value
        following = re.compile(r"\s*,\s*").match(text, position)
        position = following.end() if following else 0


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(r, Mapping) for r in value)


def values_for(slot: Slot, rows: list[Mapping[str, Any]], source: frozenset[str]) -> Iterator[Any]:
    """The values that rows hold for a slot, by the names of their keys.

    `source` are the stems of the tool that gave the rows: its `id` is then a product's `id`.
    """
    for row in rows:
        keys = row if slot.choices else _fitting_keys(slot, row, source)
        values = (_as_type(slot, row[key]) for key in keys)
        fitting = (v for v in values if v is not None and (not slot.choices or v in slot.choices))
        if (value := next(fitting, None)) is not None:
            yield value


def _fitting_keys(slot: Slot, row: Mapping[str, Any], source: frozenset[str]) -> Iterator[str]:
    own = list(slot.words)
    keys = {key: [stem(word) for word in split_identifier(key)] for key in row}
    yield from (key for key, parts in keys.items() if parts == own)
    if len(own) > 1:
        about = set(own[:-1])
        yield from (k for k, parts in keys.items() if parts == own[-1:] and about & source)
    else:
        yield from (k for k, parts in keys.items() if parts[-1:] == own and set(parts) & source)


def _as_type(slot: Slot, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if slot.type == "string":
        return str(value)
    if slot.type == "integer":
        try:
            return int(value)
        except (ValueError, OverflowError):
            return None
    return value if slot.type == "number" and not isinstance(value, str) else None
