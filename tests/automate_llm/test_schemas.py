"""What `check_schema` accepts, and how it words what it refuses."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft201909Validator, Draft202012Validator

from automate_llm.exceptions import SchemaError
from automate_llm.schemas import MAX_BYTES, MAX_SUBSCHEMAS, check_schema
from tests.thoroughness import examples

from .generated_schemas import BROKEN_SCHEMAS, OBJECT_SCHEMAS

VALIDATORS = {
    "https://json-schema.org/draft/2020-12/schema": Draft202012Validator,
    "https://json-schema.org/draft/2019-09/schema": Draft201909Validator,
    "http://json-schema.org/draft-07/schema#": Draft7Validator,
}

GOOD: list[dict[str, Any]] = [
    {},
    {"type": "object"},
    {"type": "object", "properties": {}, "additionalProperties": False},
    {"properties": {"a": True, "b": False, "$ref": {"type": "string"}}},
    {"properties": {"a": {"$ref": "#/properties/b"}, "b": {"type": ["string", "null"]}}},
    {"properties": {"a": {"$ref": "#/$defs/a~1b~0c%20d"}}, "$defs": {"a/b~c d": {}}},
    {"properties": {"tree": {"$ref": "#"}}},
    {
        "$id": "https://example.com/tool",
        "properties": {"a": {"$ref": "#/$defs/x"}},
        "$defs": {"x": {}},
    },
    {"properties": {"a": {"$ref": "#node"}}, "$defs": {"n": {"$anchor": "node"}}},
    {"properties": {"a": {"$dynamicRef": "#n"}}, "$defs": {"n": {"$dynamicAnchor": "n"}}},
    {"properties": {"a": {"$ref": "#/components/x"}}, "components": {"x": {"type": "string"}}},
    {"properties": {"a": {"$id": "Inner", "type": "string"}}},
    {"properties": {"a": {"$schema": "http://json-schema.org/draft-03/schema#"}}},
    {"properties": {"a": {"pattern": r"^\p{L}+(?<year>\d{4})\/$"}}},
    {"properties": {"a": {"enum": []}, "b": {"const": None}, "c": {"default": {"x": [1]}}}},
    {"properties": {"a": {"minLength": 2.0, "format": "unheard-of", "x-order": [[1]]}}},
    {"required": [], "dependentRequired": {"a": ["b"]}, "dependencies": {"a": ["b"], "c": {}}},
    {"if": {}, "then": True, "else": {"not": {}}, "unevaluatedProperties": False},
    {"properties": {"a": {"prefixItems": [{}], "items": False, "contains": {}, "minContains": 0}}},
    {"description": "A backslash and u0000, no NUL: \\u0000", "title": "t", "$comment": "c"},
]


@pytest.mark.parametrize("schema", GOOD)
def test_a_good_schema_is_accepted_by_us_and_by_jsonschema(schema):
    check_schema(schema)

    Draft202012Validator.check_schema(schema, format_checker=None)


@pytest.mark.parametrize(
    ("schema", "pointer", "said"),
    [
        ({"type": "string"}, "/type", '"object"'),
        ({"type": ["object", "null"]}, "/type", '"object"'),
        ({"properties": []}, "/properties", "an object"),
        ({"properties": {"a": []}}, "/properties/a", "an object, true or false"),
        ({"properties": {"a/b": {"type": "text"}}}, "/properties/a~1b/type", "integer"),
        ({"properties": {"a": {"type": []}}}, "/properties/a/type", "a list of them"),
        ({"properties": {"a": {"type": ["null", "null"]}}}, "/properties/a/type", "different"),
        ({"properties": {"a": {"required": True}}}, "/properties/a/required", "names"),
        ({"required": ["a", "a"]}, "/required", "different"),
        ({"required": [["a"]]}, "/required", "names"),
        ({"properties": {"a": {"minLength": -1}}}, "/properties/a/minLength", "not negative"),
        ({"properties": {"a": {"minLength": True}}}, "/properties/a/minLength", "whole number"),
        ({"properties": {"a": {"exclusiveMinimum": True}}}, "exclusiveMinimum", "a number"),
        ({"properties": {"a": {"multipleOf": 0}}}, "multipleOf", "greater than 0"),
        ({"properties": {"a": {"items": [{}]}}}, "/properties/a/items", "prefixItems"),
        ({"properties": {"a": {"pattern": "("}}}, "/properties/a/pattern", "simplify"),
        ({"patternProperties": {"[": {}}}, "/patternProperties/[", "simplify"),
        ({"properties": {"a": {"enum": "x"}}}, "/properties/a/enum", "a list"),
        ({"properties": {"a": {"description": 5}}}, "/properties/a/description", "text"),
        ({"anyOf": []}, "/anyOf", "at least one"),
        ({"properties": {"a": {"$anchor": "1"}}}, "$anchor", "plain name"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "/$schema", "draft-07"),
        ({"$schema": "file:///etc/passwd"}, "/$schema", "draft-07"),
        ({"$schema": None}, "/$schema", "draft-07"),
    ],
)
def test_a_broken_schema_is_refused_with_place_and_remedy(schema, pointer, said):
    with pytest.raises(SchemaError) as caught:
        check_schema(schema)

    assert pointer in str(caught.value)
    assert said in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "reference",
    [
        "http://127.0.0.1:9/schema.json",
        "https://example.com/tool#/$defs/x",
        "file:///etc/passwd",
        "//example.com/x",
        "other.json",
        "../x#/$defs/x",
        "",
        "#/$defs/missing",
        "#/description",
        "#/required/0",
        "#nowhere",
        "#/$defs/x/",
        "#/anyOf/01",
        "#/anyOf/-",
        5,
        None,
    ],
)
def test_a_reference_that_leads_out_of_the_schema_or_to_no_schema_is_refused(reference):
    schema = {
        "$id": "https://example.com/tool",
        "description": "text",
        "required": ["a"],
        "anyOf": [{}, {}],
        "$defs": {"x": {}},
        "properties": {"a": {"$ref": reference}},
    }

    with pytest.raises(SchemaError, match="/properties/a/"):
        check_schema(schema)


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$recursiveRef"])
def test_a_reference_below_a_nested_id_is_refused(keyword):
    schema = {"properties": {"a": {"$id": "http://evil.example/", "not": {keyword: "#"}}}}

    with pytest.raises(SchemaError, match="nested \\$id"):
        check_schema(schema)


def test_a_target_outside_the_known_keywords_is_looked_at_too():
    schema = {"properties": {"a": {"$ref": "#/components/x"}}, "components": {"x": {"type": 5}}}

    with pytest.raises(SchemaError, match="must name a type"):
        check_schema(schema)


def test_one_anchor_name_stands_for_one_place():
    schema = {"$defs": {"a": {"$anchor": "n"}, "b": {"$dynamicAnchor": "n"}}}

    with pytest.raises(SchemaError, match="twice"):
        check_schema(schema)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"description": "x" * MAX_BYTES}, "at most 100,000"),
        ({"properties": {str(i): {} for i in range(MAX_SUBSCHEMAS)}}, "5,000 subschemas"),
        ({"default": math.inf}, "finite"),
        ({"properties": {"a": {"maximum": math.nan}}}, "finite"),
        ({"properties": {"a": {"const": 1e400}}}, "finite"),
        ({"description": "half \ud800"}, "surrogate"),
        ({"properties": {"\udfff": {}}}, "surrogate"),
        ({"enum": ["a\x00b"]}, "NUL"),
        ({"description": "\\\x00"}, "NUL"),
        ({"default": {1, 2}}, "no JSON"),
        ({"properties": {str(i): {"pattern": f"^{i}$"} for i in range(201)}}, "200 patterns"),
        ({"properties": {"a": {"pattern": "a" * 4_001}}}, "4,000 characters"),
        ({"properties": {"a": {"pattern": "(?:a{1000}){1000}"}}}, "repeats too much"),
    ],
)
def test_a_schema_beyond_the_limits_is_refused(schema, said):
    with pytest.raises(SchemaError, match=said):
        check_schema(schema)


def _nested(levels, wrap):
    schema: Any = {}
    for _level in range(levels):
        schema = wrap(schema)
    return schema


def test_thirty_two_levels_are_accepted_and_one_more_is_not():
    check_schema(_nested(31, lambda inner: {"properties": {"a": inner}}))

    with pytest.raises(SchemaError, match="deeper than 32"):
        check_schema(_nested(32, lambda inner: {"properties": {"a": inner}}))


@pytest.mark.parametrize("keyword", ["default", "const", "x-own", "$id"])
@pytest.mark.parametrize("depth", [100, 100_000])
def test_data_that_is_nested_too_deep_is_refused(keyword, depth):
    with pytest.raises(SchemaError):
        check_schema({keyword: _nested(depth, lambda inner: [inner])})


def test_what_is_no_object_is_refused():
    for schema in ([], "x", None, True, 5):
        with pytest.raises(SchemaError, match="must be a JSON object"):
            check_schema(schema)


@pytest.mark.parametrize("dialect", VALIDATORS)
@settings(deadline=None, max_examples=examples(80))
@given(schema=BROKEN_SCHEMAS)
def test_whatever_we_accept_jsonschema_accepts(dialect, schema):
    schema = {**schema, "$schema": dialect}
    try:
        check_schema(schema)
    except SchemaError:
        return

    VALIDATORS[dialect].check_schema(schema, format_checker=None)


@settings(deadline=None, max_examples=examples(80))
@given(schema=OBJECT_SCHEMAS)
def test_whatever_jsonschema_accepts_of_ordinary_keywords_we_accept(schema):
    Draft202012Validator.check_schema(schema, format_checker=None)

    check_schema(schema)


@settings(deadline=None, max_examples=examples(100))
@given(st.recursive(st.none() | st.text() | st.floats(), lambda i: st.dictionaries(st.text(), i)))
def test_nothing_but_a_schema_error_ever_comes_out(schema):
    try:
        check_schema(schema)
    except SchemaError as exc:
        assert str(exc)
