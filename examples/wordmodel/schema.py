"""A tool's JSON Schema, flattened to the values that somebody has to find."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .words import split_identifier, stem, stems

MAX_DEPTH = 6
SCALARS = ("string", "integer", "number", "boolean")

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Slot:
    """One value that a tool takes, wherever in its arguments it stands.

    `optional_parent` is the path of the nearest object above it that may be left out, if one
    may; `required` holds as soon as that object is there. `plural` is a list of such values.
    """

    path: Path
    type: str
    schema: Mapping[str, Any]
    required: bool
    optional_parent: Path | None = None
    plural: bool = False

    @property
    def needed(self) -> bool:
        """Whether no call is complete without it."""
        return self.required and self.optional_parent is None

    @property
    def name(self) -> str:
        """The path as a person reads it: `address.city`."""
        return ".".join(str(part) for part in self.path if isinstance(part, str))

    @property
    def words(self) -> tuple[str, ...]:
        """The stems of its own name."""
        own = next(part for part in reversed(self.path) if isinstance(part, str))
        return tuple(stem(word) for word in split_identifier(own)) or (own,)

    @property
    def description(self) -> str:
        """What the schema says of it, if anything."""
        for text in (self.schema.get("description"), self.schema.get("title")):
            if isinstance(text, str):
                return text
        return ""

    @property
    def described_words(self) -> frozenset[str]:
        """The stems of its description."""
        return frozenset(stems(self.description))

    @property
    def choices(self) -> list[Any]:
        """The only values that it takes; empty where any will do."""
        if "const" in self.schema:
            return [self.schema["const"]]
        enum = self.schema.get("enum")
        return [value for value in enum if value is not None] if isinstance(enum, list) else []

    def has_word(self, *wanted: str) -> bool:
        """Whether its name has one of these words, in any form."""
        return any(stem(word) in self.words for word in wanted)


def slots(schema: Any) -> list[Slot]:
    """Every value of an object schema, required ones first, each in the schema's own order."""
    if not isinstance(schema, Mapping):
        return []
    found = list(_walk(schema, _resolve(schema, schema), (), True, None))
    return sorted(found, key=lambda slot: not slot.needed)


def _walk(
    root: Mapping[str, Any],
    schema: Mapping[str, Any],
    path: Path,
    required: bool,
    optional_parent: Path | None,
) -> Iterator[Slot]:
    kind = _type(schema)
    if kind == "object" and isinstance(schema.get("properties"), Mapping) and len(path) < MAX_DEPTH:
        needed = schema.get("required")
        needed = needed if isinstance(needed, list) else []
        for name, each in schema["properties"].items():
            below, here = _resolve(root, each), (*path, name)
            if name not in needed and _properties(below):
                yield from _walk(root, below, here, True, here)
            else:
                yield from _walk(root, below, here, required and name in needed, optional_parent)
        return
    if not path:
        return
    if kind == "array":
        item = _resolve(root, schema.get("items"))
        if _properties(item):
            parent = optional_parent if required else path
            yield from _walk(root, item, (*path, 0), True, parent)
            return
        described = {"description": schema.get("description"), **item}
        yield Slot(path, _type(item), described, required, optional_parent, plural=True)
        return
    yield Slot(path, kind, schema, required, optional_parent)


def _resolve(root: Mapping[str, Any], schema: Any) -> Mapping[str, Any]:
    """The schema with local references followed and the null alternatives left out."""
    for _ in range(MAX_DEPTH):
        if not isinstance(schema, Mapping):
            return {}
        rest = {key: value for key, value in schema.items() if key not in _INDIRECT}
        if isinstance(schema.get("$ref"), str):
            schema = {**_pointed_at(root, schema["$ref"]), **rest}
        elif isinstance(schema.get("allOf"), list):
            for part in schema["allOf"]:
                if isinstance(part, Mapping):
                    rest = {**part, **rest, "properties": _properties(part) | _properties(rest)}
            schema = {key: value for key, value in rest.items() if value != {}}
        elif branches := _branches(schema):
            schema = {**_chosen(branches), **rest}
        else:
            return schema
    return schema if isinstance(schema, Mapping) else {}


_INDIRECT = frozenset({"$ref", "allOf", "anyOf", "oneOf"})


def _properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    return dict(properties) if isinstance(properties, Mapping) else {}


def _branches(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = schema.get("anyOf") or schema.get("oneOf")
    if not isinstance(listed, list):
        return []
    return [each for each in listed if isinstance(each, Mapping) and each.get("type") != "null"]


def _chosen(branches: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    if all("const" in each for each in branches):
        return {"enum": [each["const"] for each in branches]}
    texts = [each for each in branches if each.get("type") == "string"]
    simple = all(each.get("type") in SCALARS for each in branches)
    return texts[0] if texts and simple else branches[0]


def _pointed_at(root: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    if not reference.startswith("#"):
        return {}
    target: Any = root
    for part in reference.lstrip("#").strip("/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        target = target.get(name) if part and isinstance(target, Mapping) else target
    return target if isinstance(target, Mapping) else {}


def _type(schema: Mapping[str, Any]) -> str:
    stated = schema.get("type")
    if isinstance(stated, list):
        stated = next((each for each in stated if each != "null"), None)
    if isinstance(stated, str):
        return stated
    if isinstance(schema.get("properties"), Mapping):
        return "object"
    if "items" in schema:
        return "array"
    values = schema["enum"] if isinstance(schema.get("enum"), list) else [schema.get("const")]
    for python, name in ((bool, "boolean"), (int, "integer"), (float, "number")):
        if values and all(isinstance(value, python) for value in values):
            return name
    return "string"
