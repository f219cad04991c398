"""Arguments that a tool refused, mended by what the refusal says."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .arguments import fill
from .facts import Text
from .numbers import checked
from .schema import Slot
from .tools import Tool


def repaired(
    tool: Tool, arguments: Mapping[str, Any], complaint: str, texts: Sequence[Text]
) -> dict[str, Any] | None:
    """The arguments with what the complaint names put right; nothing where no change helps."""
    fixed = dict(arguments)
    blamed = [name for name in _names(tool, arguments) if _mentions(complaint, name)]
    known = {slot.path[0]: slot for slot in tool.slots if len(slot.path) == 1}
    for name in blamed:
        slot = known.get(name)
        if slot is None:
            fixed.pop(name, None)
            continue
        value = _mended(slot, fixed.get(name), tool, texts, complaint)
        if value is not None:
            fixed[name] = value
        elif not slot.needed:
            fixed.pop(name, None)
    return fixed if fixed != dict(arguments) else None


def _names(tool: Tool, arguments: Mapping[str, Any]) -> list[str]:
    own = [str(slot.path[0]) for slot in tool.slots]
    return list(dict.fromkeys([*own, *arguments]))


def _mentions(complaint: str, name: str) -> bool:
    return bool(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", complaint))


def _mended(
    slot: Slot, value: Any, tool: Tool, texts: Sequence[Text], complaint: str
) -> Any | None:
    if value is None:
        if "default" in slot.schema:
            return slot.schema["default"]
        forced = fill(_only(tool, slot), texts)
        return forced.arguments.get(str(slot.path[0]))
    if slot.type in ("integer", "number") and isinstance(value, str):
        match = re.search(r"-?\d+(?:\.\d+)?", value)
        return checked(slot, float(match[0])) if match else None
    if slot.type == "string" and not isinstance(value, str):
        return str(value)
    choices = [*slot.choices, *_quoted_choices(complaint)]
    if isinstance(value, str) and choices:
        close = [each for each in choices if str(each).casefold() == value.casefold()]
        close = close or [e for e in choices if value.casefold()[:3] == str(e).casefold()[:3]]
        return close[0] if close and close[0] != value else None
    if isinstance(value, int | float):
        return _within_the_stated_limit(value, complaint)
    return None


def _only(tool: Tool, slot: Slot) -> Tool:
    """The tool as if it took just this one value and could not do without."""
    name = str(slot.path[0])
    schema = {"type": "object", "properties": {name: dict(slot.schema)}, "required": [name]}
    return Tool(tool.name, tool.description, schema, tool.prefix)


def _quoted_choices(complaint: str) -> list[str]:
    match = re.search(r"one of:?\s*[\[(]([^\])]+)[\])]", complaint)
    return [each.strip(" '\"") for each in match[1].split(",")] if match else []


def _within_the_stated_limit(value: float, complaint: str) -> int | float | None:
    match = re.search(
        r"(?:maximum|at most|<=|less than or equal to|minimum|at least|>=|greater than or equal to)"
        r"\D{0,12}(-?\d+)",
        complaint,
    )
    return int(match[1]) if match and int(match[1]) != value else None
