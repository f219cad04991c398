"""What an operator approves about a tool, and the hash that pins it."""

import hashlib
import json
from typing import Any, TypedDict

from automate_llm.exceptions import SchemaError
from automate_llm.schemas import check_schema

_MAX_PROBLEM = 500
_canonical = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


class Definition(TypedDict):
    """The parts of a tool that are approved together."""

    name: str
    title: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None
    annotations: dict[str, Any]


def definition_hash(definition: Definition) -> str:
    """A SHA-256 that is the same for the same definition, whatever the order of its keys."""
    return hashlib.sha256(_canonical(definition).encode("utf-8", "surrogatepass")).hexdigest()


def schema_problem(schema: dict[str, Any]) -> str:
    """Why arguments cannot be checked against this schema; empty where they can."""
    try:
        check_schema(schema)
    except SchemaError as exc:
        return str(exc)[:_MAX_PROBLEM]
    return ""
