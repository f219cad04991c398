"""Arguments that a tool wants mirrored in HTTP headers, by `x-mcp-header` in its schema.

Source: MCP 2026-07-28, basic/transports/streamable-http, "Custom Headers from Tool Parameters".
"""

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

MARK = "x-mcp-header"
_PREFIX = "Mcp-Param-"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")
# Other languages cannot tell such an integer from its neighbours, so that no header carries it.
_UNSAFE = 2**53
_TYPES = ("boolean", "integer", "string")
_ONE_SCHEMA = {
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
}
_SCHEMA_LISTS = {"allOf", "anyOf", "items", "oneOf", "prefixItems"}
_SCHEMA_MAPS = {"$defs", "definitions", "dependentSchemas", "patternProperties"}

# The names of the properties that lead to a schema; none where another keyword lies on the way.
_Path = tuple[str, ...] | None


def misuse(schema: Mapping[str, Any]) -> str:
    """Why a tool with this schema must not be used; empty where it may."""
    taken: set[str] = set()
    for path, part in _parts(schema):
        if MARK not in part:
            continue
        if not path:
            return f"{MARK} stands where no argument is"
        header = part[MARK]
        if not isinstance(header, str) or not _TOKEN.fullmatch(header):
            return f"its {MARK} for {path[-1][:60]!r} is no name of a header"
        if part.get("type") not in _TYPES:
            return f"its {MARK} for {path[-1][:60]!r} is not on text, an integer or a boolean"
        if header.lower() in taken:
            return f"its {MARK} {header!r} stands twice"
        taken.add(header.lower())
    return ""


def parameter_headers(
    schema: Mapping[str, Any], arguments: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """The headers of a call; an argument that is absent or `null` has none."""
    for path, part in _properties(schema, ()):
        header = part.get(MARK)
        if isinstance(header, str) and _TOKEN.fullmatch(header):
            text = _text(_argument(arguments, path))
            if text is not None:
                yield _PREFIX + header, header_value(text)


def header_value(value: str) -> str:
    """A value as a header carries it: plain ASCII, or Base64 between the specified marks."""
    plain = value.isascii() and value.isprintable()
    marked = value.startswith("=?base64?") and value.endswith("?=")
    if plain and value == value.strip() and not marked:
        return value
    return f"=?base64?{base64.b64encode(value.encode(errors='replace')).decode()}?="


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[_Path, dict[str, Any]]]:
    """Every schema in a schema; what is data there, such as a default, is none."""
    waiting: list[tuple[_Path, Any]] = [((), schema)]
    while waiting:
        path, part = waiting.pop()
        if not isinstance(part, dict):
            continue
        yield path, part
        for keyword, value in part.items():
            if keyword == "properties" and isinstance(value, dict):
                waiting += (
                    (None if path is None else (*path, name), each) for name, each in value.items()
                )
            elif keyword in _SCHEMA_LISTS and isinstance(value, list):
                waiting += ((None, each) for each in value)
            elif keyword in _SCHEMA_MAPS and isinstance(value, dict):
                waiting += ((None, each) for each in value.values())
            elif keyword in _ONE_SCHEMA:
                waiting.append((None, value))


def _properties(
    schema: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    properties = schema.get("properties")
    for name, part in properties.items() if isinstance(properties, dict) else ():
        if isinstance(part, dict):
            yield (*path, name), part
            yield from _properties(part, (*path, name))


def _argument(arguments: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(arguments, Mapping):
            return None
        arguments = arguments.get(name)
    return arguments


def _text(value: object) -> str | None:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float() if abs(value) < _UNSAFE and value == int(value):
            return str(int(value))
        case _:
            return None
