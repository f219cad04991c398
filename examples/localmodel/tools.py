"""Tools and calls as a request carries them, and as a small model reads them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

JSON = dict[str, Any]

DESCRIPTION_LENGTH = 300
NOTE_LENGTH = 120
CHOICES_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Tool:
    """One entry of a request's `tools`."""

    name: str
    description: str
    parameters: JSON

    @classmethod
    def from_definition(cls, definition: object) -> "Tool":
        """Read an OpenAI function definition; `ValueError` says what is wrong with it."""
        function = definition.get("function") if isinstance(definition, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise ValueError('each of "tools" needs {"type": "function", "function": {"name": …}}')
        parameters = function.get("parameters")
        return cls(
            function["name"],
            str(function.get("description") or ""),
            parameters if isinstance(parameters, dict) else {},
        )


@dataclass(frozen=True, slots=True)
class Call:
    """One call that the model has decided on."""

    name: str
    arguments: JSON

    @property
    def key(self) -> str:
        """Equal for calls of the same tool with the same arguments, in any order of keys."""
        return json.dumps([self.name, self.arguments], sort_keys=True)

    @property
    def text(self) -> str:
        """The call as the model itself writes it."""
        return json.dumps({"tool": self.name, "arguments": self.arguments}, ensure_ascii=False)


def describe(tool: Tool) -> str:
    """A tool in a few short lines: small models read a signature better than JSON Schema."""
    properties = tool.parameters.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    required = tool.parameters.get("required")
    required = required if isinstance(required, list) else []
    signature, notes = [], []
    for name, schema in properties.items():
        schema = schema if isinstance(schema, dict) else {}
        optional = "" if name in required else "?"
        signature.append(f"{name}{optional}: {_kind(schema)}")
        if isinstance(schema.get("description"), str) and schema["description"].strip():
            notes.append(f"    {name}: {shortened(one_line(schema['description']), NOTE_LENGTH)}")
    head = f"- {tool.name}({', '.join(signature)})"
    if tool.description.strip():
        head += f": {shortened(one_line(tool.description), DESCRIPTION_LENGTH)}"
    return "\n".join([head, *notes])


def _kind(schema: Mapping[str, Any]) -> str:
    """A parameter's type in a few characters."""
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    if isinstance(schema.get("enum"), list):
        return shortened(
            "|".join(json.dumps(v, ensure_ascii=False) for v in schema["enum"]), CHOICES_LENGTH
        )
    for keyword in ("anyOf", "oneOf"):
        if isinstance(schema.get(keyword), list):
            return "|".join(_kind(s) for s in schema[keyword] if isinstance(s, dict)) or "any"
    kinds = schema.get("type", "any")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if kinds == ["array"]:
        items = schema.get("items")
        return f"{_kind(items if isinstance(items, dict) else {})}[]"
    if kinds == ["string"] and isinstance(schema.get("format"), str):
        return f"string ({schema['format']})"
    return "|".join(str(kind) for kind in kinds)


def shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length].rstrip()} … [cut]"


def one_line(text: str) -> str:
    return " ".join(text.split())
