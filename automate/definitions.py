"""What an operator approves about a tool, and the hash that pins it."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, TypedDict

from automate_llm.exceptions import SchemaError
from automate_llm.schemas import MAX_BYTES, check_schema, examine
from automate_llm.text import SURROGATE

_MAX_PROBLEM = 500
_canonical = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode
_escaped = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


class Definition(TypedDict):
    """The parts of a tool that are approved together."""

    name: str
    title: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None
    annotations: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pinned:
    """A definition by its hash: a SHA-256 that is the same whatever the order of its keys."""

    hash: str
    definition: Definition
    text: str

    @property
    def storable_text(self) -> str:
        """The same JSON in characters that every database takes."""
        is_whole = self.text.isascii() or not SURROGATE.search(self.text)
        return self.text if is_whole else _escaped(self.definition)

    def problem(self) -> str:
        """Why arguments cannot be checked against its schema; empty where they can."""
        return schema_problem(self.definition["input_schema"], within=self.text)


def pinned(definition: Definition) -> Pinned:
    """The definition with what pins it."""
    text = _canonical(definition)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return Pinned(digest, definition, text)


def definition_hash(definition: Definition) -> str:
    """What pins the definition."""
    return pinned(definition).hash


def schema_problem(schema: dict[str, Any], *, within: str = "") -> str:
    """Why arguments cannot be checked against this schema; empty where they can.

    `within` is JSON that holds all of it, where the caller has that.
    """
    try:
        # What is small and holds no character that a database refuses need not be written anew.
        if within and _is_storable(within):
            examine(schema)
        else:
            check_schema(schema)
    except SchemaError as exc:
        return str(exc)[:_MAX_PROBLEM]
    return ""


def _is_storable(text: str) -> bool:
    """Whether this is JSON that `check_schema` would not refuse for its size or its characters."""
    return len(text) * 4 <= MAX_BYTES and "\\u0000" not in text and text.isprintable()
