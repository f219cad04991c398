"""Sentences and tables out of tool results, which are data and are quoted as such."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .conversation import Call, asking
from .families import family
from .results import Result, read_result
from .schema import Slot
from .tools import Tool
from .words import same_meaning, split_identifier, stem, stems

MAX_ROWS, MAX_COLUMNS, MAX_CELL, MAX_LINES = 10, 7, 160, 20
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~!&$])")
_HOW_MANY = re.compile(r"\bhow (?:many|much)\b", re.IGNORECASE)


def plain(text: object, limit: int = MAX_CELL) -> str:
    """Any value on one line, with nothing in it that Markdown would take for its own."""
    if isinstance(text, bool):
        text = "yes" if text else "no"
    elif text is None:
        text = "–"
    elif not isinstance(text, str):
        text = json.dumps(text, ensure_ascii=False)
    line = " ".join(text.split())
    cut = line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
    return _SPECIAL.sub(r"\\\1", cut)


def code(text: str) -> str:
    """A name as Markdown code, whatever is in it."""
    return f"`{text.replace('`', '').strip()[:100]}`"


def describe_results(question: str, calls: Sequence[Call], first: Sequence[str] = ()) -> str:
    """Say what every answered call brought; `first` are the tools that the question is about."""
    groups: dict[str, list[Call]] = {name: [] for name in first}
    for call in calls:
        groups.setdefault(call.name, []).append(call)
    return "\n\n".join(_group(question, name, group) for name, group in groups.items() if group)


def _group(question: str, name: str, calls: Sequence[Call]) -> str:
    results = [(call, read_result(call)) for call in calls]
    good = [(call, result) for call, result in results if not result.failed]
    bad = results if not good else [each for each in results if each[1].failed]
    if good and any(result.blames_arguments for _, result in bad):
        bad = [each for each in bad if not each[1].blames_arguments]
    parts = []
    flat = [_flat(result.data) for _, result in good if isinstance(result.data, Mapping)]
    single = all(_is_flat(result.data) for _, result in good)
    if len(good) > 1 and single and len(flat) == len(good):
        rows = [
            {**_plain_arguments(call), **row} for (call, _), row in zip(good, flat, strict=True)
        ]
        parts.append(_table_with_words(question, f"{_short(name)} answered:", rows, ""))
    else:
        parts += [_one(question, call, result) for call, result in good]
    parts += [_failure(call, result) for call, result in bad]
    return "\n\n".join(parts)


def _failure(call: Call, result: Result) -> str:
    said = result.said
    if isinstance(result.data, Mapping):
        error = result.data.get("error") or result.data.get("errors") or result.data
        said = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
    told = f" It said: “{plain(said, 400)}”" if said else ""
    return f"{_made(call)} failed.{told}"


def _one(question: str, call: Call, result: Result) -> str:
    value = result.data
    if not result.has_data:
        return _text(call, result.text)
    if value in ([], {}, None):
        return f"{_made(call)} found nothing."
    if isinstance(value, list):
        return _list(question, call, value, {})
    if isinstance(value, Mapping):
        listed = {key: each for key, each in value.items() if isinstance(each, list)}
        if len(listed) == 1:
            key, rows = next(iter(listed.items()))
            rest = {each: value[each] for each in value if each != key}
            return _list(question, call, rows, rest)
        return _object(question, call, value)
    return f"{_made(call)} answered: **{plain(value)}**"


def _text(call: Call, text: str) -> str:
    if not text:
        return f"{_made(call)} gave an empty answer."
    lines = text.splitlines()
    if len(lines) == 1 and len(text) <= 300:
        return f"{_made(call)} says: “{plain(text, 300)}”"
    quoted = [f"> {plain(line, 400)}" if line.strip() else ">" for line in lines[:MAX_LINES]]
    more = len(lines) - MAX_LINES
    end = f"\n\n{more} more lines are in the tool's result." if more > 0 else ""
    return f"{_made(call)} says:\n\n" + "  \n".join(quoted) + end


def _list(question: str, call: Call, rows: list[Any], rest: Mapping[str, Any]) -> str:
    extra = "; ".join(f"{plain(_title(key))}: {plain(each)}" for key, each in rest.items())
    if not rows:
        return f"{_made(call)} found nothing." + (f" ({extra})" if extra else "")
    count = f"{len(rows)} {'entry' if len(rows) == 1 else 'entries'}"
    opening = f"{_made(call)} gave {count}" + (f"; {extra}" if extra else "") + ":"
    if all(isinstance(row, Mapping) for row in rows):
        return _table_with_words(question, opening, [_flat(row) for row in rows], "")
    lines = [f"- {plain(row)}" for row in rows[:MAX_ROWS]]
    return opening + "\n\n" + "\n".join(lines) + _cut(len(rows))


def _object(question: str, call: Call, value: Mapping[str, Any]) -> str:
    flat = _flat(value)
    lead = _lead(question, [flat])
    lines = [f"- {plain(_title(key))}: {plain(each)}" for key, each in list(flat.items())[:25]]
    more = f"\n- … and {len(flat) - 25} more" if len(flat) > 25 else ""
    opening = f"{_made(call)} answered:"
    return lead + opening + "\n\n" + "\n".join(lines) + more


def _table_with_words(
    question: str, opening: str, rows: Sequence[Mapping[str, Any]], ending: str
) -> str:
    names = list(dict.fromkeys(key for row in rows for key in row))
    wanted = set(stems(question))
    told = [name for name in names if any(same_meaning(w, t) for w in wanted for t in _words(name))]
    shown = names if len(names) <= MAX_COLUMNS else _columns(names, told)
    lines = [
        "| " + " | ".join(plain(_title(name), 40) for name in shown) + " |",
        "|" + " --- |" * len(shown),
    ]
    for row in rows[:MAX_ROWS]:
        cells = (plain(row[name]) if name in row else "" for name in shown)
        lines.append("| " + " | ".join(cells) + " |")
    left_out = [name for name in names if name not in shown]
    columns = ", ".join(plain(_title(name), 40) for name in left_out[:12])
    hidden = f"\n\nNot shown: {columns}." if left_out else ""
    return (
        _lead(question, rows)
        + opening
        + "\n\n"
        + "\n".join(lines)
        + _cut(len(rows))
        + hidden
        + ending
    )


def _columns(names: Sequence[str], told: Sequence[str]) -> list[str]:
    chosen = {*names[: MAX_COLUMNS - len(told[:3])], *told[:3]}
    return [name for name in names if name in chosen][:MAX_COLUMNS]


def _lead(question: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The one number that a "how many" asks for, where the data has it."""
    if not _HOW_MANY.search(question):
        return ""
    key = counted(question, rows)
    if key is None:
        return ""
    numbers = [row[key] for row in rows if _is_number(row.get(key))]
    if len(rows) == 1:
        return f"**{_headline(key)}: {plain(numbers[0])}**\n\n"
    if {stem(word) for word in split_identifier(key)} & _SUMMABLE:
        total = sum(numbers)
        total = round(total, 6) if isinstance(total, float) else total
        return f"**{_headline(key)}, all together: {plain(total)}**\n\n"
    return ""


_SUMMABLE = frozenset(
    map(stem, ("stock", "quantity", "qty", "count", "available", "units", "pieces"))
)


_AMOUNTS = frozenset(map(stem, ("price", "cost", "total", "amount", "balance", "sum", "value")))


def counted(question: str, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The column of numbers that the question's own words name."""
    wanted = stems(question)
    usual = _AMOUNTS if re.search(r"\bhow much\b", question, re.IGNORECASE) else _SUMMABLE
    for same in (False, True):
        for key in dict.fromkeys(key for row in rows for key in row):
            own = _words(key)
            near = any(w == t or (same and same_meaning(w, t)) for w in wanted for t in own)
            generic = same and bool(set(own) & usual)
            if (near or generic) and any(_is_number(row.get(key)) for row in rows):
                return key
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _words(key: str) -> list[str]:
    return [stem(word) for word in split_identifier(key)]


def _title(key: str) -> str:
    return str(key).replace("_", " ").strip() or "value"


def _headline(key: str) -> str:
    title = plain(_title(key))
    return title[:1].upper() + title[1:]


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """An object with the parts of its objects beside its own: `address.city`."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping) and value and len(value) <= 12:
            flat |= {f"{key}.{inner}": each for inner, each in value.items()}
        elif isinstance(value, list) and all(isinstance(each, str | int) for each in value):
            flat[str(key)] = ", ".join(map(str, value))
        else:
            flat[str(key)] = value
    return flat


def _is_flat(value: object) -> bool:
    return isinstance(value, Mapping) and not any(isinstance(v, list) for v in value.values())


def _plain_arguments(call: Call) -> dict[str, Any]:
    return {k: v for k, v in call.arguments.items() if isinstance(v, str | int | float)}


def _made(call: Call) -> str:
    """A call as a person reads it: the tool, and what it was called with if that is little."""
    if not call.arguments or len(call.arguments) > 3:
        return _short(call.name)
    said = (f"{plain(_title(key))}: {plain(each, 60)}" for key, each in call.arguments.items())
    return f"{_short(call.name)} ({', '.join(said)})"


def _short(name: str) -> str:
    """A function's name without the server's part."""
    return code(name.split("__", 1)[-1])


def _cut(count: int) -> str:
    return f"\n\nThese are {MAX_ROWS} of {count}." if count > MAX_ROWS else ""


def ask_for(tool: Tool, missing: Sequence[Slot]) -> str:
    """Ask for what a tool needs and the message does not say."""
    names = []
    for slot in missing:
        said = " ".join(slot.description.split()).rstrip(".")
        choices = ", ".join(plain(choice, 40) for choice in slot.choices[:8])
        kind = f"one of {choices}" if choices else "yes or no" if slot.type == "boolean" else ""
        kind = kind or _limits(slot)
        hint = "; ".join(each for each in (plain(said, 120), kind) if each)
        names.append(f"{code(slot.name)}" + (f" ({hint})" if hint else f" ({family(slot)})"))
    listed = names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" and {names[-1]}"
    return (
        f"{asking(tool.name)} {listed}. What is it?"
        if len(names) == 1
        else (f"{asking(tool.name)} {listed}. What are they?")
    )


def _limits(slot: Slot) -> str:
    ends = (("at least", slot.schema.get("minimum")), ("at most", slot.schema.get("maximum")))
    return ", ".join(f"{word} {limit}" for word, limit in ends if _is_number(limit))


def describe_tools(tools: Sequence[Tool], limit: int = 12) -> str:
    """The tools in plain words."""
    lines = [
        f"- **{plain(' '.join(split_identifier(tool.name)), 60)}**"
        + (f": {plain(tool.first_sentence)}" if tool.description else "")
        for tool in tools[:limit]
    ]
    more = len(tools) - limit
    return "\n".join(lines) + (f"\n\n… and {more} more." if more > 0 else "")
