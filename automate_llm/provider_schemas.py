"""A tool's schema as every OpenAI-compatible model server takes it.

One keyword that a server refuses costs the whole request, with all its tools. Seen to be refused:
a root without `properties`, or with `anyOf`, `oneOf`, `allOf`, `enum`, `const` or `not` (OpenAI,
Azure, Anthropic); arrays without `items` (OpenAI); `$ref`, or keywords beside it (Moonshot, Gemini
and gateways to it); `type` beside `anyOf` (Moonshot); keywords without a field in Gemini's schema
(`$schema`, `const`, `exclusiveMinimum`, `multipleOf`, `patternProperties`, `propertyNames`,
`uniqueItems`, …) and formats but `date-time`; patterns that are not anchored or use classes such
as `\\d` (llama.cpp), or look around (OpenAI).

So references are written out, unions at the root are merged, and what has no safe keyword is said
in the description. The copy leaves things out and adds nothing, but that a tuple is not offered
items after its listed ones. The original stays the contract that arguments are held to.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .schemas import Schema, examine
from .text import clean_text

MAX_TEXT_BYTES = 4_096
MAX_NODES = 2_000
MAX_DEPTH = 24
MAX_REFERENCES = 64

_KEPT = {
    "default",
    "enum",
    "maximum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "minimum",
    "minItems",
    "minLength",
    "minProperties",
    "type",
}
_NOTES = {
    "exclusiveMaximum": "Less than {}.",
    "exclusiveMinimum": "Greater than {}.",
    "format": "Format: {}.",
    "multipleOf": "A multiple of {}.",
    "pattern": "Pattern: {}",
}
_SAFE_PATTERN = re.compile(r"\^(?:[^\\$(]|\\[^A-Za-z0-9]|\((?!\?))*\$", re.ASCII)
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def provider_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of an object schema that no provider refuses. The original is left as it is.

    Raises:
        SchemaError: the schema is one that `check_schema` refuses.
    """
    return _Copy(examine(schema).references).root(dict(schema))


class _Copy:
    """One copy under way. `left` is how many subschemas may still be written out."""

    def __init__(self, references: Mapping[str, Schema]) -> None:
        self._references = references
        self._left = MAX_NODES

    def root(self, schema: dict[str, Any]) -> dict[str, Any]:
        flat, opened = self._flat(schema, frozenset())
        variants: dict[str, list[dict[str, Any]]] = {}
        for name, each in flat.get("properties", {}).items():
            if each is not False:
                variants[name] = [self._copy(each, opened, 1)]
        required = list(flat.get("required", ()))
        for union in ("anyOf", "oneOf"):
            branches = [
                self._flat(each, opened) for each in flat.get(union, ()) if each is not False
            ]
            for branch, inside in branches:
                self._add_variants(variants, branch, inside)
            if branches:
                shared = [set(branch.get("required", ())) for branch, _ in branches]
                required += [name for name in variants if all(name in each for each in shared)]
        for each in _conditional(flat):
            self._add_variants(variants, *self._flat(each, opened))
        copy: dict[str, Any] = {
            "type": "object",
            "properties": {name: _joined(each) for name, each in variants.items()},
        }
        if known := [name for name in dict.fromkeys(required) if name in variants]:
            copy["required"] = known
        if flat.get("additionalProperties") and type(flat["additionalProperties"]) is dict:
            copy["additionalProperties"] = self._copy(flat["additionalProperties"], opened, 1)
        if description := _text(flat.get("description")):
            copy["description"] = description
        return copy

    def _add_variants(
        self,
        variants: dict[str, list[dict[str, Any]]],
        branch: dict[str, Any],
        opened: frozenset[int],
    ) -> None:
        for name, each in branch.get("properties", {}).items():
            if each is not False:
                copy = self._copy(each, opened, 1)
                known = variants.setdefault(name, [])
                if copy not in known:
                    known.append(copy)

    def _flat(
        self, schema: Schema, opened: frozenset[int]
    ) -> tuple[dict[str, Any], frozenset[int]]:
        """The keywords of a schema, of what it refers to and of its `allOf`, in one object.

        Comes with the references that were followed. One that leads back into itself keeps
        its type and its description, no more.
        """
        self._left -= 1
        if type(schema) is not dict or self._left < 0 or len(opened) > MAX_REFERENCES:
            return {}, opened
        flat = {k: v for k, v in schema.items() if k not in (*_REFERENCES, "allOf")}
        targets = [self._references[schema[k]] for k in _REFERENCES if k in schema]
        parts = [_outline(each) if id(each) in opened else each for each in targets]
        opened = opened.union(map(id, targets)) if targets else opened
        for part in (*parts, *schema.get("allOf", ())):
            inner, opened = self._flat(part, opened)
            for keyword, value in inner.items():
                if keyword == "properties":
                    flat["properties"] = {**value, **flat.get("properties", {})}
                elif keyword == "required":
                    flat["required"] = [*flat.get("required", ()), *value]
                else:
                    flat.setdefault(keyword, value)
        return flat, opened

    def _copy(self, schema: Schema, opened: frozenset[int], depth: int) -> dict[str, Any]:
        flat, opened = self._flat(schema, opened)
        if depth > MAX_DEPTH or self._left < 0:
            flat = _outline(flat)
        depth += 1
        copy = {k: v for k, v in flat.items() if k in _KEPT}
        if "const" in flat:
            copy["enum"] = [flat["const"]]
        default = copy.get("default")
        if isinstance(default, str) and clean_text(default, MAX_TEXT_BYTES) != default:
            del copy["default"]
        if flat.get("format") == "date-time":
            copy["format"] = "date-time"
        if _SAFE_PATTERN.fullmatch(flat.get("pattern", "")):
            copy["pattern"] = flat["pattern"]
        if "properties" in flat:
            copy["properties"] = {
                name: self._copy(each, opened, depth)
                for name, each in flat["properties"].items()
                if each is not False
            }
        known = copy.get("properties", {})
        if required := [name for name in dict.fromkeys(flat.get("required", ())) if name in known]:
            copy["required"] = required
        if flat.get("additionalProperties") and type(flat["additionalProperties"]) is dict:
            copy["additionalProperties"] = self._copy(flat["additionalProperties"], opened, depth)
        if "array" in _types(flat):
            copy["items"] = self._items(flat, opened, depth)
        branches = [
            self._copy(each, opened, depth)
            for each in flat.get("anyOf") or flat.get("oneOf") or ()
            if each is not False
        ]
        if any(branches):
            copy["anyOf"] = branches
            if "type" in copy:
                of_all = {"type": copy.pop("type")}
                if "items" in copy:  # a branch that is an array must say of what
                    of_all["items"] = copy.pop("items")
                copy["anyOf"] = [_holding(of_all, each) for each in branches]
        if description := _described(flat, copy):
            copy["description"] = description
        return copy

    def _items(self, flat: dict[str, Any], opened: frozenset[int], depth: int) -> dict[str, Any]:
        """One schema for every item; where each place has its own, any of them."""
        items = flat.get("items", True)
        by_place = items if type(items) is list else flat.get("prefixItems", [])
        if not by_place:
            return self._copy(items, opened, depth)
        return _joined([self._copy(each, opened, depth) for each in by_place])


def _holding(of_all: dict[str, Any], branch: dict[str, Any]) -> dict[str, Any]:
    """A branch of a union, or each of a union within it, with what holds for all branches."""
    if "anyOf" not in branch:
        return {**of_all, **branch}
    return {**branch, "anyOf": [_holding(of_all, each) for each in branch["anyOf"]]}


def _outline(schema: Schema) -> dict[str, Any]:
    """What is left of a schema where it may not be written out."""
    if type(schema) is not dict:
        return {}
    return {k: schema[k] for k in ("type", "description") if k in schema}


def _conditional(flat: dict[str, Any]) -> Iterator[Schema]:
    """Yield the subschemas that speak about the object only under a condition."""
    for keyword in ("then", "else"):
        if keyword in flat:
            yield flat[keyword]
    yield from flat.get("dependentSchemas", {}).values()


def _types(flat: dict[str, Any]) -> list[str]:
    named = flat.get("type", [])
    return [named] if isinstance(named, str) else named


def _joined(variants: list[dict[str, Any]]) -> dict[str, Any]:
    """One schema that takes what any of the variants takes."""
    different = [each for index, each in enumerate(variants) if each not in variants[:index]]
    if len(different) == 1:
        return different[0]
    if {} in different:
        return {}
    if all("enum" in each for each in different):
        values = [value for each in different for value in each["enum"]]
        unique = [v for i, v in enumerate(values) if v not in values[:i]]
        if all(type(value) is str for value in unique):
            return {**different[0], "enum": unique}
    return {"anyOf": different}


def _text(value: object) -> str:
    return clean_text(value, MAX_TEXT_BYTES).strip() if isinstance(value, str) else ""


def _described(flat: dict[str, Any], copy: dict[str, Any]) -> str:
    """The description, or the title, and in words what the copy has no keyword for."""
    parts = [_text(flat.get("description")) or _text(flat.get("title"))]
    for keyword, words in _NOTES.items():
        if keyword in flat and keyword not in copy and len(str(flat[keyword])) <= 200:
            parts.append(_text(words.format(flat[keyword])))
    if flat.get("uniqueItems"):
        parts.append("No item twice.")
    return " ".join(filter(None, parts))
