"""What the model may write, as the JSON schema that the engine holds its decoding to.

llama.cpp drops `tools` in silence for chat templates without tool support, and enforces no
`tool_choice`. So the model may write only `{"tool": …, "arguments": …}` or `{"answer": …}`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .tools import JSON, Tool

MAX_DEPTH = 12
MAX_REPETITIONS = 64
MAX_LENGTH = 200

FORMATS = frozenset({"date", "time", "date-time", "uuid"})
TYPES = frozenset({"string", "number", "integer", "boolean", "null", "array", "object"})


def reply_format(tools: Sequence[Tool], *, answer: bool = True, typed: bool = True) -> JSON:
    """The `response_format` that allows one call of one of `tools`, or else a plain answer.

    With `typed` false the arguments are any object: the way out when the engine refuses
    a schema all the same.
    """
    definitions: JSON = {}
    branches: list[JSON] = []
    for number, tool in enumerate(tools):
        arguments: JSON = {"type": "object"}
        if typed:
            place = f"tool{number}"
            arguments = engine_schema(tool.parameters, place)
            definitions[place] = arguments
            definitions |= _referred_to(tool.parameters, place)
        branches.append(_closed({"tool": {"const": tool.name}, "arguments": arguments}))
    if answer or not branches:
        branches.append(_closed({"answer": {"type": "string", "minLength": 1}}))
    schema: JSON = {"anyOf": branches}
    if definitions:
        schema["$defs"] = definitions
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}


def engine_schema(parameters: JSON, place: str) -> JSON:
    """A tool's parameters in the keywords that llama.cpp's grammar converter takes.

    What it refuses or only warns about is left out, so the result may allow more than the
    original, and the caller still has to validate. `place` is where the schema's own
    definitions stand in the whole: `#/$defs/X` becomes `#/$defs/place.X`.
    """
    schema = _simplified(parameters, parameters, place, MAX_DEPTH)
    if not schema.keys() & {"$ref", "anyOf"}:
        schema["type"] = "object"
        if "properties" not in schema:
            schema.setdefault("additionalProperties", False)
    return schema


def takes_nothing(tool: Tool) -> bool:
    """Two calls of this tool are always the same call."""
    return engine_schema(tool.parameters, "") == {"type": "object", "additionalProperties": False}


def _closed(properties: JSON) -> JSON:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _referred_to(parameters: JSON, place: str) -> JSON:
    """A schema's own definitions, under the names that its rewritten references use."""
    return {
        f"{place}.{name}": _simplified(definition, parameters, place, MAX_DEPTH)
        for keyword in ("$defs", "definitions")
        for name, definition in _mapping(parameters.get(keyword)).items()
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _simplified(schema: object, root: JSON, place: str, depth: int) -> JSON:
    if not isinstance(schema, dict) or depth == 0:
        return {}
    if "$ref" in schema:
        return _reference(schema["$ref"], root, place)
    if "const" in schema:
        return {"const": schema["const"]}
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return {"enum": schema["enum"]}
    for keyword in ("anyOf", "oneOf", "allOf"):
        choices = schema.get(keyword)
        alone = keyword != "allOf" or (isinstance(choices, list) and len(choices) == 1)
        if isinstance(choices, list) and choices and alone and "properties" not in schema:
            return {"anyOf": [_simplified(choice, root, place, depth - 1) for choice in choices]}
    kinds = schema.get("type")
    known = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if _is_type(kind)]
    simple: JSON = {}
    if known:
        simple["type"] = known if len(known) > 1 else known[0]
    if "object" in known or (not known and "properties" in schema):
        simple |= _object_keywords(schema, root, place, depth)
    if "array" in known:
        simple["items"] = _simplified(schema.get("items"), root, place, depth - 1)
        simple |= _counts(schema, ("minItems", "maxItems"), MAX_REPETITIONS)
    if "string" in known:
        simple |= _counts(schema, ("minLength", "maxLength"), MAX_LENGTH)
        if schema.get("format") in FORMATS:
            simple["format"] = schema["format"]
    if "integer" in known:
        bounds = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
        simple |= _counts(schema, bounds, 2**53)
    return simple


def _is_type(kind: object) -> bool:
    return isinstance(kind, str) and kind in TYPES


def _object_keywords(schema: JSON, root: JSON, place: str, depth: int) -> JSON:
    properties = _mapping(schema.get("properties"))
    simple: JSON = {}
    if properties:
        simple["properties"] = {
            name: _simplified(value, root, place, depth - 1) for name, value in properties.items()
        }
        required = schema.get("required")
        names = required if isinstance(required, list) else []
        simple["required"] = [name for name in names if name in properties]
        simple["additionalProperties"] = False
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        simple["additionalProperties"] = _simplified(more, root, place, depth - 1)
    elif more is True:
        simple["additionalProperties"] = True
    return simple


def _counts(schema: JSON, keywords: Iterable[str], highest: int) -> JSON:
    return {
        keyword: schema[keyword]
        for keyword in keywords
        if type(schema.get(keyword)) is int and abs(schema[keyword]) <= highest
    }


def _reference(target: object, root: JSON, place: str) -> JSON:
    """The rewritten reference; one that leads nowhere or only to itself allows anything."""
    seen = set()
    while isinstance(target, str) and target not in seen:
        seen.add(target)
        if target == "#":
            return {"$ref": f"#/$defs/{place}"}
        match = re.fullmatch(r"#/(\$defs|definitions)/([\w.-]+)", target)
        found = _mapping(root.get(match[1])).get(match[2]) if match else None
        if match is None or not isinstance(found, dict):
            return {}
        if "$ref" not in found:
            return {"$ref": f"#/$defs/{place}.{match[2]}"}
        target = found["$ref"]
    return {}
