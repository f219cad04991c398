"""Problems of arguments as sentences that a model can act on."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from .evaluation import Problem

MAX_SENTENCE = 400

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXAMPLES = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "email": "ann@example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "time": "12:00:00Z",
    "uri": "https://example.com/page",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
}


def sentence(problem: Problem) -> str:
    """Where it is (`$` stands for the arguments), what was expected, and what was there."""
    text = f"{path_text(problem.path)} {_predicate(problem)}."
    return text if len(text) <= MAX_SENTENCE else f"{text[: MAX_SENTENCE - 1]}…"


def _predicate(problem: Problem) -> str:
    describe = _PREDICATES.get(problem.keyword)
    if describe is None:
        return f"does not fit {problem.keyword} of the schema"
    return describe(problem)


def path_text(path: list[str | int]) -> str:
    """Where something is in the arguments, which `$` stands for."""
    text = "$"
    for token in path:
        if isinstance(token, int):
            text += f"[{token}]"
        elif len(token) <= 60 and _PLAIN_NAME.fullmatch(token):
            text += f".{token}"
        else:
            text += f"[{quoted(token)}]"
    return text if len(text) <= 160 else f"{text[:80]}…{text[-70:]}"


def quoted(value: Any) -> str:
    """A value in a few words: short ones as JSON, large ones by kind and size."""
    if type(value) is list:
        return f"a list of {len(value)} items"
    if type(value) is dict:
        return f"an object with {len(value)} properties"
    if type(value) is str:
        cut = value if len(value) <= 60 else f"{value[:60]}…"
        return json.dumps(cut, ensure_ascii=not cut.isprintable())
    text = "a number of many digits" if _is_huge(value) else json.dumps(value)
    return text


def _is_huge(value: Any) -> bool:
    return type(value) is int and value.bit_length() > 256


def _choice(values: Iterable[Any]) -> str:
    """Values one after the other, as many as fit."""
    parts: list[str] = []
    room = 200
    left = list(values)
    while left and room > 0:
        parts.append(quoted(left.pop(0)))
        room -= len(parts[-1]) + 2
    return ", ".join(parts) + (f" and {len(left)} more" if left else "")


def _type(problem: Problem) -> str:
    names = [problem.expected] if isinstance(problem.expected, str) else problem.expected
    return f"must be of type {' or '.join(names)}, not {quoted(problem.instance)}"


def _required(problem: Problem) -> str:
    missing = [name for name in problem.expected if name not in problem.instance]
    return f"lacks {_choice(missing)}, which must be given"


def _unexpected(problem: Problem) -> str:
    known = _choice(problem.expected)
    return f"may not have {_choice(problem.instance)}; known are: {known or 'none'}"


def _dependent(problem: Problem) -> str:
    for name, wanted in problem.expected.items():
        missing = [
            each for each in wanted if isinstance(wanted, list) and each not in problem.instance
        ]
        if name in problem.instance and missing:
            return f"must have {_choice(missing)} because it has {quoted(name)}"
    return "lacks a property that another one asks for"


def _format(problem: Problem) -> str:
    example = _EXAMPLES[problem.expected]
    return f"must be a {problem.expected} such as {example}, not {quoted(problem.instance)}"


def _forms(problem: Problem) -> str:
    """The first problem of each branch, of three branches at most."""
    if not problem.context:
        return "fits more than one form of oneOf; exactly one must fit"
    first: dict[str | int, Problem] = {}
    for each in problem.context:
        first.setdefault(each.branch, each)
    told = [
        f"({index}) {'it' if not each.path else path_text(each.path)[1:].lstrip('.')} "
        f"{_predicate(each)[:110]}"
        for index, each in enumerate(list(first.values())[:3], start=1)
    ]
    more = f"; and {len(first) - 3} more" if len(first) > 3 else ""
    return f"fits none of its {len(first)} forms: {'; '.join(told)}{more}"


def _limit(words: str) -> Callable[[Problem], str]:
    return lambda problem: words.format(quoted(problem.expected), quoted(problem.instance))


_PREDICATES: dict[str, Callable[[Problem], str]] = {
    "additionalProperties": _unexpected,
    "anyOf": _forms,
    "const": _limit("must be {0}, not {1}"),
    "contains": lambda problem: "has no item of the kind that must be in it",
    "dependencies": _dependent,
    "dependentRequired": _dependent,
    "enum": lambda problem: (
        f"must be one of {_choice(problem.expected)}, not {quoted(problem.instance)}"
    ),
    "exclusiveMaximum": _limit("must be less than {0}, not {1}"),
    "exclusiveMinimum": _limit("must be greater than {0}, not {1}"),
    "false": lambda problem: "is not allowed there",
    "format": _format,
    "items": lambda problem: "has more items than are allowed",
    "additionalItems": lambda problem: "has more items than are allowed",
    "maxContains": _limit("has more than {0} items of a kind"),
    "maxItems": lambda problem: (
        f"must have at most {problem.expected} items, not {len(problem.instance)}"
    ),
    "maxLength": lambda problem: (
        f"must have at most {problem.expected} characters, not {len(problem.instance)}"
    ),
    "maxProperties": _limit("must have at most {0} properties"),
    "maximum": _limit("must be at most {0}, not {1}"),
    "minContains": _limit("has fewer than {0} items of a kind"),
    "minItems": lambda problem: (
        f"must have at least {problem.expected} items, not {len(problem.instance)}"
    ),
    "minLength": lambda problem: (
        f"must have at least {problem.expected} characters, not {len(problem.instance)}"
    ),
    "minProperties": _limit("must have at least {0} properties"),
    "minimum": _limit("must be at least {0}, not {1}"),
    "multipleOf": _limit("must be a multiple of {0}, not {1}"),
    "not": lambda problem: "has a form that the schema rules out",
    "oneOf": _forms,
    "pattern": lambda problem: (
        f"must match the pattern {problem.expected[:150]}, not {quoted(problem.instance)}"
    ),
    "propertyNames": lambda problem: (
        f"may not have the name {quoted(problem.instance)}: it {_predicate(problem.expected)}"
    ),
    "required": _required,
    "type": _type,
    "unevaluatedProperties": _unexpected,
    "uniqueItems": lambda problem: f"holds {quoted(problem.instance)} more than once",
}
