"""The copy of a schema that providers get: nothing in it costs a whole request."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings

from automate_llm.exceptions import SchemaError
from automate_llm.provider_schemas import MAX_NODES, provider_schema
from automate_llm.schemas import check_schema
from tests.thoroughness import examples

from .generated_schemas import OBJECT_SCHEMAS, REFERRING_SCHEMAS

ALLOWED = {
    "additionalProperties",
    "anyOf",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
}


def _nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for each in schema.get("properties", {}).values():
        yield from _nodes(each)
    for each in schema.get("anyOf", []):
        yield from _nodes(each)
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from _nodes(schema[keyword])


def _assert_safe(schema: dict[str, Any]) -> None:
    assert schema["type"] == "object"
    assert set(schema) <= {"type", "properties", "required", "additionalProperties", "description"}
    assert isinstance(schema["properties"], dict)
    for node in _nodes(schema):
        assert isinstance(node, dict)
        assert set(node) <= ALLOWED
        assert set(node.get("required", [])) <= set(node.get("properties", {}))
        assert not {"type", "anyOf"} <= set(node)
        assert "items" in node or "array" not in node.get("type", [])
    check_schema(schema)


@pytest.mark.parametrize(
    "schema", [{}, {"type": "object"}, {"properties": {}}, {"required": ["a"]}]
)
def test_a_root_always_has_type_and_properties(schema):
    assert provider_schema(schema) == {"type": "object", "properties": {}}


def _of(schema: Any, **beside: Any) -> Any:
    return provider_schema({"properties": {"a": schema}, **beside})["properties"]["a"]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (True, {}),
        (
            {"$schema": "x", "$id": "y", "$comment": "z", "x-own": 1, "type": "string"},
            {"type": "string"},
        ),
        ({"const": "x"}, {"enum": ["x"]}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"type": "array", "items": False}, {"type": "array", "items": {}}),
        (
            {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}]},
            {"type": "array", "items": {"type": "number"}},
        ),
        (
            {"type": "array", "prefixItems": [{"type": "number"}, {"type": "null"}]},
            {"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
        ),
        (
            {"type": "integer", "exclusiveMinimum": 0, "multipleOf": 5, "description": "Size."},
            {"type": "integer", "description": "Size. Greater than 0. A multiple of 5."},
        ),
        ({"format": "email"}, {"description": "Format: email."}),
        ({"format": "date-time"}, {"format": "date-time"}),
        ({"pattern": "^[a-z]+$"}, {"pattern": "^[a-z]+$"}),
        ({"pattern": "[a-z]"}, {"description": "Pattern: [a-z]"}),
        ({"pattern": r"^\d+$"}, {"description": r"Pattern: ^\d+$"}),
        ({"pattern": "^(?!a)b$"}, {"description": "Pattern: ^(?!a)b$"}),
        (
            {"type": "array", "items": {}, "uniqueItems": True},
            {"type": "array", "items": {}, "description": "No item twice."},
        ),
        ({"title": "Colour"}, {"description": "Colour"}),
        (
            {"allOf": [{"type": "array"}], "oneOf": [{}, {"minItems": 1}]},
            {
                "anyOf": [
                    {"type": "array", "items": {}},
                    {"type": "array", "items": {}, "minItems": 1},
                ]
            },
        ),
        ({"title": "Colour", "description": "Its colour"}, {"description": "Its colour"}),
        ({"description": "Hid\u200bden\U000e0041"}, {"description": "Hidden"}),
        ({"default": "hid\u200bden", "enum": ["a"]}, {"enum": ["a"]}),
        (
            {
                "properties": {"x": {}, "y": False},
                "required": ["x", "y", "z"],
                "additionalProperties": False,
            },
            {"properties": {"x": {}}, "required": ["x"]},
        ),
        (
            {"additionalProperties": {"type": "string"}},
            {"additionalProperties": {"type": "string"}},
        ),
        (
            {"oneOf": [{"type": "string"}, {"const": 1}]},
            {"anyOf": [{"type": "string"}, {"enum": [1]}]},
        ),
        (
            {"type": "string", "anyOf": [{"maxLength": 3}, {"type": "null"}]},
            {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]},
        ),
        (
            {"type": "array", "anyOf": [{"oneOf": [{"minItems": 1}, {"maxItems": 0}]}, {}]},
            {
                "anyOf": [
                    {
                        "anyOf": [
                            {"type": "array", "items": {}, "minItems": 1},
                            {"type": "array", "items": {}, "maxItems": 0},
                        ]
                    },
                    {"type": "array", "items": {}},
                ]
            },
        ),
        (
            {"type": "object", "anyOf": [{"required": ["x"]}, {"required": ["y"]}]},
            {"type": "object"},
        ),
        (
            {"allOf": [{"properties": {"x": {}}, "required": ["x"]}, {"properties": {"y": {}}}]},
            {"properties": {"y": {}, "x": {}}, "required": ["x"]},
        ),
        ({"not": {}, "if": {}, "then": {}, "propertyNames": {}, "contains": {}}, {}),
    ],
)
def test_a_keyword_is_kept_rewritten_or_told_in_words(schema, expected):
    assert _of(schema) == expected


def test_references_are_written_out_with_what_stands_beside_them():
    color = {"type": "string", "enum": ["red"], "description": "Any colour"}

    copied = _of(
        {"$ref": "#/$defs/color", "description": "Of the mug"}, **{"$defs": {"color": color}}
    )

    assert copied == {"type": "string", "enum": ["red"], "description": "Of the mug"}


def test_a_recursive_reference_ends_where_it_begins_again():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "value": {}}}

    assert _of({"$ref": "#/$defs/node"}, **{"$defs": {"node": node}}) == {
        "type": "object",
        "properties": {"next": {"type": "object"}, "value": {}},
    }


def test_a_union_at_the_root_becomes_one_object():
    schema = {
        "properties": {"id": {"type": "integer"}},
        "oneOf": [
            {
                "properties": {"kind": {"const": "mug"}, "size": {"type": "integer"}},
                "required": ["kind", "size"],
            },
            {
                "properties": {"kind": {"const": "shirt"}, "size": {"type": "string"}},
                "required": ["kind"],
            },
        ],
    }

    assert provider_schema(schema) == {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "kind": {"enum": ["mug", "shirt"]},
            "size": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        },
        "required": ["kind"],
    }


def test_what_one_branch_leaves_open_is_not_required():
    schema = {"properties": {"a": {}}, "anyOf": [{"required": ["a"]}, {}]}

    assert "required" not in provider_schema(schema)


def test_a_reference_at_the_root_is_written_out():
    schema = {"$ref": "#/$defs/in", "$defs": {"in": {"properties": {"q": {}}, "required": ["q"]}}}

    assert provider_schema(schema) == {
        "type": "object",
        "properties": {"q": {}},
        "required": ["q"],
    }


def test_properties_stay_in_the_servers_order():
    schema = {"properties": {name: {} for name in "zyxabc"}, "required": ["c", "z"]}

    assert list(provider_schema(schema)["properties"]) == list("zyxabc")


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "properties"])
def test_a_schema_that_doubles_stays_small(keyword):
    definitions: dict[str, Any] = {}
    for index in range(40):
        pair = [{"$ref": f"#/$defs/d{index + 1}"}, {"$ref": f"#/$defs/d{index + 1}"}]
        parts: Any = {"x": pair[0], "y": pair[1]} if keyword == "properties" else pair
        definitions[f"d{index}"] = {keyword: parts}
    schema = {"properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": {**definitions, "d40": {}}}

    copied = provider_schema(schema)

    assert sum(1 for _node in _nodes(copied)) <= MAX_NODES + 2
    _assert_safe(copied)


def test_a_long_chain_of_references_ends():
    definitions = {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(2_000)}

    _assert_safe(provider_schema({"$ref": "#/$defs/d0", "$defs": {**definitions, "d2000": {}}}))


def test_a_broken_schema_is_refused():
    with pytest.raises(SchemaError):
        provider_schema({"type": "string"})


@settings(deadline=None, max_examples=examples(100))
@given(schema=OBJECT_SCHEMAS | REFERRING_SCHEMAS)
def test_every_copy_is_safe_and_no_original_is_changed(schema):
    before = copy.deepcopy(schema)

    copied = provider_schema(schema)

    assert schema == before
    assert json.dumps(copied) == json.dumps(provider_schema(schema))
    _assert_safe(copied)
