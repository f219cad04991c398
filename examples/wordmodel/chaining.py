"""One tool's result as another tool's argument: look up an id, then use it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .answers import code, counted, plain
from .arguments import Filled, fill
from .conversation import Call, Exchange
from .families import family
from .results import read_result, values_for
from .schema import Path, Slot
from .steps import Step
from .tools import Tool
from .words import GENERIC, same_meaning, stem, stems

_GIVES = re.compile(
    r"\b(?:return|give|with|list|includ|provid|contain|show|find|look)", re.IGNORECASE
)
_POSITION = frozenset(map(stem, ("latitude", "longitude", "lat", "lon", "lng")))
_HOW_MANY = re.compile(r"\bhow (?:many|much)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Lookup:
    """A call that may tell what another tool needs."""

    tool: Tool
    arguments: Mapping[str, Any]


def choose_lookup(step: Step, filled: Filled, tools: Sequence[Tool]) -> Lookup | None:
    """The best tool to find a missing id with, its arguments taken from the message."""
    wanted = [slot for slot in filled.missing if _can_be_looked_up(slot)]
    if not wanted:
        return None
    # Words of a parameter's description are mostly examples, and those are worth a search.
    meant = {word for word in step.matched if step.tool.weights.get(word, 1.0) > 0.2}
    trimmed = {*step.tool.name_stems, *meant, *(word for slot in wanted for word in slot.words)}
    trimmed |= step.tool.prefix_stems
    best: tuple[float, Lookup] | None = None
    for tool in tools:
        score = _promise(tool, step.tool, wanted[0])
        if tool.name == step.tool.name or tool.writes or score <= 0:
            continue
        found = fill(tool, [step.text], trimmed, claimed=filled.claimed)
        if found.missing or not (found.arguments or tool.verb == stem("list")):
            continue
        if best is None or score > best[0]:
            best = score, Lookup(tool, found.arguments)
    return best[1] if best else None


def _can_be_looked_up(slot: Slot) -> bool:
    named = family(slot) == "id" or bool(slot.choices and slot.type == "string")
    return not slot.plural and (named or _is_id_number(slot))


def _is_id_number(slot: Slot) -> bool:
    own = set(slot.words)
    return family(slot) == "number" and bool(own & (_POSITION | {stem("id"), stem("number")}))


def _promise(tool: Tool, target: Tool, slot: Slot) -> float:
    """How likely a tool's result names what the slot wants."""
    if tool.writes or any(each.needed and each.words == slot.words for each in tool.slots):
        return 0.0
    about = {*slot.words[:-1], *(each for each in target.name_stems if each != target.verb)}
    subject = {*tool.name_stems, *tool.description_stems}
    said = (target.description_stems | slot.described_words) - GENERIC
    named = set(slot.words) <= {*tool.description_stems, *tool.name_stems}
    shared = sum(any(same_meaning(word, other) for other in tool.name_stems) for word in about)
    score = 0.0
    if named and _GIVES.search(tool.description):
        score += 2.0
    if tool.finds and about & subject:
        score += 1.0
    elif tool.finds and said & {*tool.name_stems}:
        score += 0.7
    if not score:
        return 0.0
    score += 0.5 * shared + (0.5 if tool.finds else 0.0)
    return score + (0.3 if tool.prefix_stems and tool.prefix_stems == target.prefix_stems else 0.0)


def found_values(
    step: Step, filled: Filled, calls: Sequence[Call], tools: Sequence[Tool]
) -> tuple[list[dict[Path, Any]], str]:
    """What earlier results say for the missing slots, a dict for each fitting row.

    Where a tool changes something and several rows fit, nobody guesses: the second value is
    then a sentence that asks which one.
    """
    by_name = {tool.name: tool for tool in tools}
    wanted = [slot for slot in filled.missing if _can_be_looked_up(slot)]
    for call in reversed(calls):
        tool = by_name.get(call.name)
        if tool is None or tool.name == step.tool.name or call.answer is None:
            continue
        result = read_result(call)
        if result.failed or not result.rows:
            continue
        source = frozenset({*tool.name_stems, *step.tool.name_stems})
        rows = _closest(step, result.rows)
        found = list(_per_row(wanted, rows, source))
        if not found:
            continue
        unique = list({str(sorted(each.items(), key=str)): each for each in found}.values())
        if step.tool.writes and len(unique) > 1:
            first = wanted[0]
            named = ", ".join(
                f"{plain(each[first.path])} ({plain(_label(row))})"
                for each, row in list(zip(found, rows, strict=False))[:8]
                if first.path in each
            )
            return [], (
                f"Before I can use {code(step.tool.name)}, I need {code(first.name)}: "
                f"several fit, and I do not guess. Which one is it? {named}"
            )
        return unique, ""
    return [], ""


def _per_row(
    wanted: Sequence[Slot], rows: Sequence[Mapping[str, Any]], source: frozenset[str]
) -> Iterator[dict[Path, Any]]:
    for row in rows:
        values = {
            slot.path: value
            for slot in wanted
            if (value := next(values_for(slot, [row], source), None)) is not None
        }
        if values:
            yield values


def _closest(step: Step, rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows that share the most words with the question; all, where none shares any."""
    asked = set(stems(step.text.text)) - {*step.tool.name_stems}
    shared = [len(asked & set(stems(" ".join(map(str, row.values()))))) for row in rows]
    most = max(shared, default=0)
    return [row for row, count in zip(rows, shared, strict=True) if count == most]


def _label(row: Mapping[str, Any]) -> str:
    for key in ("name", "title", "label", "subject", "description"):
        if isinstance(row.get(key), str):
            return str(row[key])
    return next((value for value in row.values() if isinstance(value, str)), "")


def is_answered_by(step: Step, exchange: Exchange, tools: Sequence[Tool]) -> bool:
    """Whether the look-up's own result already has what the question asks.

    That is so where the words that chose the tool are keys of the rows, with a number in them
    for a "how many".
    """
    rows = [row for call in exchange.calls for row in read_result(call).rows]
    question = exchange.texts[0]
    if any(call.name == step.tool.name for call in exchange.calls):
        return False
    if _HOW_MANY.search(question):
        return counted(question, rows) is not None
    return False
