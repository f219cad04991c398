"""Whether the schema of a rule says what its operator means.

JSON Schema passes over what it does not know, and a limit on numbers says nothing of a text. In a
tool's own schema that is harmless; in a rule that allows calls it would allow too many.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from automate_llm.schemas import KEYWORDS

_ONE = frozenset(
    ("additionalItems", "additionalProperties", "contains", "else", "if", "items", "not")
) | {"propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"}
_LISTED = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
_NAMED = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
_SAY_WHAT_KIND = frozenset({"type", "const", "enum", "$ref", "allOf", "anyOf", "oneOf", "not"})


def misspellings(schema: Mapping[str, Any]) -> Iterator[str]:
    """Words where a keyword should be that is none, each as a sentence."""
    for keyword in schema:
        if keyword not in KEYWORDS:
            yield _(
                "“%(word)s” is no keyword of JSON Schema. Limits of an argument belong under "
                '"properties": {"argument": {…}}.'
            ) % {"word": keyword[:60]}
    for inner in _subschemas(schema):
        yield from misspellings(inner)


def loopholes(schema: Mapping[str, Any]) -> Iterator[str]:
    """Arguments that fit although no limit was held against them, each as a sentence.

    For a rule that allows: one that asks or denies may well be for more than it says.
    """
    limited = schema.get("properties")
    if not isinstance(limited, Mapping):
        return
    if missing := [] if "required" in schema else list(limited):
        yield _(
            "Calls that leave out %(names)s would be allowed too. Add "
            '"required": [%(names)s], or "required": [] if that is meant.'
        ) % {"names": ", ".join(f'"{name[:60]}"' for name in missing[:5])}
    for name, inner in limited.items():
        if not isinstance(inner, Mapping):
            continue
        if inner and _SAY_WHAT_KIND.isdisjoint(inner):
            yield _(
                "Say which type “%(name)s” has: what is of another type would be allowed whatever "
                "it is."
            ) % {"name": name[:60]}
        yield from loopholes(inner)


def _subschemas(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for keyword, value in schema.items():
        inner: list[Any] = []
        if keyword in _NAMED and isinstance(value, Mapping):
            inner = list(value.values())
        elif keyword in _LISTED and isinstance(value, list):
            inner = value
        elif keyword in _ONE:
            inner = [value]
        yield from (each for each in inner if isinstance(each, Mapping))
