"""Every keyword means what JSON Schema says, and what jsonschema says."""

from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator
from referencing import Registry

from automate_llm.exceptions import InvalidArguments, SchemaError
from automate_llm.validation import validate_arguments
from tests.thoroughness import examples

from .generated_schemas import ARGUMENTS, OBJECT_SCHEMAS, REFERRING_SCHEMAS

D7 = "http://json-schema.org/draft-07/schema#"
D19 = "https://json-schema.org/draft/2019-09/schema"

# For the one property "a": its schema, values that fit, values that do not.
KEYWORDS: list[tuple[Any, list[Any], list[Any]]] = [
    (True, [None, 1], []),
    (False, [], [None, 1]),
    ({"type": "integer"}, [3, 3.0, -0.0, 10**30], [3.5, True, "3", None]),
    ({"type": "number"}, [1, 1.5], [False, "1"]),
    ({"type": "boolean"}, [True], [0, 1, "true"]),
    ({"type": ["string", "null"]}, ["", None], [0, [], {}]),
    ({"type": "object"}, [{}], [[]]),
    ({"type": "array"}, [[]], [{}, "a"]),
    ({"enum": ["a", 1, None, [True]]}, ["a", 1, 1.0, None, [True]], ["b", True, [1], 0]),
    ({"const": 0}, [0, 0.0], [False, None, "0"]),
    ({"const": {"x": [1]}}, [{"x": [1.0]}], [{"x": [True]}, {}]),
    ({"minimum": 1, "exclusiveMaximum": 5}, [1, 4.9, "text"], [0, 5, -(10**400)]),
    ({"exclusiveMinimum": 1.5, "maximum": 10**20}, [2, 10**20], [1.5, 10**400, 1e308]),
    ({"multipleOf": 0.01}, [19.99, 0.07, 1e308, 4.35, 3], [0.001, 1e-320]),
    ({"multipleOf": 1e-300}, [1e308, 1], [1e-301]),
    ({"multipleOf": 3}, [9, 9.0, 0], [10, 1.5, True][:2]),
    ({"minLength": 2, "maxLength": 3}, ["ab", "äöü", "😀😀"], ["a", "abcd", "😀"]),
    ({"pattern": "b+"}, ["abba", 5], ["aa"]),
    ({"minItems": 1, "maxItems": 2}, [[1], [1, 2], "x"], [[], [1, 2, 3]]),
    (
        {"uniqueItems": True},
        [[1, True], [0, False, "0", None], [{"a": 1}, {"a": True}]],
        [[1, 1.0]],
    ),
    ({"uniqueItems": True}, [[[1], [True]]], [[{"a": 1, "b": 2}, {"b": 2, "a": 1}], [[], []]]),
    ({"items": {"type": "integer"}}, [[], [1]], [[1, "x"]]),
    ({"prefixItems": [{"const": 1}], "items": False}, [[], [1]], [[2], [1, 2]]),
    ({"contains": {"const": 1}}, [[1], [2, 1]], [[], [2]]),
    ({"contains": {"const": 1}, "minContains": 2, "maxContains": 3}, [[1, 1]], [[1], [1] * 4]),
    ({"contains": {"const": 1}, "minContains": 0}, [[]], []),
    ({"required": ["x"]}, [{"x": None}, 5], [{}]),
    ({"minProperties": 1, "maxProperties": 2}, [{"x": 1}], [{}, {"x": 1, "y": 1, "z": 1}]),
    ({"additionalProperties": {"type": "integer"}}, [{"x": 1}], [{"x": "1"}]),
    ({"patternProperties": {"^x": {"type": "integer"}}}, [{"x1": 1, "y": ""}], [{"x1": ""}]),
    (
        {"properties": {"k": {}}, "patternProperties": {"^x": {}}, "additionalProperties": False},
        [{"k": 1, "xy": 1}],
        [{"y": 1}],
    ),
    ({"propertyNames": {"maxLength": 2}}, [{"ab": 1}], [{"abc": 1}]),
    ({"dependentRequired": {"x": ["y"]}}, [{"y": 1}, {"x": 1, "y": 1}], [{"x": 1}]),
    ({"dependentSchemas": {"x": {"required": ["y"]}}}, [{}, {"x": 1, "y": 1}], [{"x": 1}]),
    ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1, 2], [0, 3]),
    ({"anyOf": [{"const": 1}, {"type": "string"}]}, [1, "x"], [2]),
    ({"oneOf": [{"minimum": 2}, {"maximum": 3}]}, [1, 4], [2, 3]),
    ({"not": {"type": "string"}}, [1], ["x"]),
    ({"if": {"const": 1}, "then": True, "else": {"const": 2}}, [1, 2], [3]),
    ({"if": {"minimum": 5}, "then": {"multipleOf": 2}}, [1, 6], [7]),
    (
        {"allOf": [{"properties": {"x": {}}}], "unevaluatedProperties": False},
        [{"x": 1}],
        [{"x": 1, "y": 1}],
    ),
    (
        {"anyOf": [{"properties": {"x": {"const": 1}}}, True], "unevaluatedProperties": False},
        [{"x": 1}],
        [{"x": 2}],
    ),
    (
        {
            "if": {"required": ["x"], "properties": {"x": {}}},
            "then": {"properties": {"y": {}}},
            "else": {"patternProperties": {"^z": {}}},
            "dependentSchemas": {"y": {"properties": {"w": {}}}},
            "unevaluatedProperties": {"type": "integer"},
        },
        [{"x": "", "y": "", "w": ""}, {"z1": ""}, {"q": 1}],
        [{"x": "", "z1": ""}, {"y": ""}, {"w": ""}],
    ),
    (
        {"prefixItems": [{}], "contains": {"const": 1}, "unevaluatedItems": False},
        [[1], [0, 1, 1]],
        [[0, 2]],
    ),
    ({"allOf": [{"items": {}}], "unevaluatedItems": False}, [[1, 2]], []),
    ({"format": "date"}, ["2024-02-29", 5], ["2023-02-29", "2024-2-1", "٢٠٢٤-٠٢-٢٩"]),
    ({"format": "time"}, ["23:59:60Z", "08:00:00.5+01:00"], ["8:00", "24:00:00Z", "08:00:00"]),
    (
        {"format": "date-time"},
        ["2024-02-29T08:00:00Z", "2024-02-29t08:00:00.123-05:30"],
        ["2024-02-29", "2024-02-30T08:00:00Z", "2024-02-29 08:00:00Z"],
    ),
    (
        {"format": "email"},
        ["ann@example.com", "a.b+c@d-e.org", "ü@example.com"],
        ["ann", "@x", "a@", "a b@x.org", "a..b@x.org", ".a@x.org", "a@b@c"],
    ),
    (
        {"format": "uri"},
        ["https://example.com/a?b=c#d", "urn:isbn:1", "mailto:a@b", "http://[::1]/%20"],
        ["example.com", "/path", "http://exa mple", "http://x/%zz", "http://ü"],
    ),
    (
        {"format": "uuid"},
        ["123E4567-e89b-12d3-a456-426614174000"],
        ["123e4567e89b12d3a456426614174000"],
    ),
    ({"format": "ipv4"}, ["192.0.2.1"], ["192.0.2.256", "192.0.2", "192.0.2.01", "1" * 5_000]),
    ({"format": "ipv6"}, ["::1", "2001:db8::1"], ["1::2::3", "fe80::1%eth0", "12345::"]),
    ({"format": "unheard-of"}, ["anything"], []),
]


def _fits(schema: dict[str, Any], arguments: Any) -> bool:
    try:
        validate_arguments(schema, arguments)
    except InvalidArguments as exc:
        assert exc.problems
        return False
    return True


@pytest.mark.parametrize(("schema", "good", "bad"), KEYWORDS)
def test_every_keyword_holds_its_value(schema, good, bad):
    whole = {"type": "object", "properties": {"a": schema}}

    assert [value for value in good if not _fits(whole, {"a": value})] == []
    assert [value for value in bad if _fits(whole, {"a": value})] == []


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"$schema": D7, "properties": {"a": {"items": [{"const": 1}]}}}, [[1, 5]], [[2]]),
        (
            {"$schema": D7, "properties": {"a": {"items": [{}], "additionalItems": False}}},
            [[1]],
            [[1, 2]],
        ),
        (
            {
                "$schema": D7,
                "properties": {"a": {"$ref": "#/definitions/x", "const": 9}},
                "definitions": {"x": {"type": "integer"}},
            },
            [1],
            ["x"],
        ),
        (
            {
                "$schema": D7,
                "properties": {"a": {"dependencies": {"x": ["y"], "z": {"required": ["w"]}}}},
            },
            [{"x": 1, "y": 1}],
            [{"x": 1}, {"z": 1}],
        ),
        (
            {
                "$schema": D7,
                "properties": {"a": {"$ref": "#n"}},
                "definitions": {"x": {"$id": "#n", "const": 1}},
            },
            [1],
            [2],
        ),
        (
            {
                "$schema": D19,
                "type": "object",
                "properties": {"a": {"anyOf": [{"type": "integer"}, {"$recursiveRef": "#"}]}},
            },
            [1, {"a": 1}],
            ["x", {"a": "x"}],
        ),
        (
            {
                "$schema": D19,
                "properties": {
                    "a": {"items": [{}], "contains": {"const": 1}, "unevaluatedItems": False}
                },
            },
            [[1]],
            [[0, 1]],
        ),
    ],
)
def test_older_drafts_mean_what_they_meant(schema, good, bad):
    assert [value for value in good if not _fits(schema, {"a": value})] == []
    assert [value for value in bad if _fits(schema, {"a": value})] == []


@settings(deadline=None, max_examples=examples(150))
@given(schema=OBJECT_SCHEMAS, arguments=ARGUMENTS)
def test_jsonschema_gives_the_same_answer(schema, arguments):
    expected = Draft202012Validator(schema, registry=Registry()).is_valid(arguments)

    assert _fits(schema, arguments) == expected


def _jsonschemas_answer(schema: dict[str, Any], arguments: Any) -> bool | None:
    """What jsonschema says; None where it runs out of stack."""
    try:
        return Draft202012Validator(schema, registry=Registry()).is_valid(arguments)
    except RecursionError:
        return None
    except BaseException as exc:
        # Where the stack ends inside its registry, which is written in Rust.
        if type(exc).__name__ != "PanicException":
            raise
        return None


@settings(deadline=None, max_examples=examples(80))
@given(schema=REFERRING_SCHEMAS, arguments=ARGUMENTS)
def test_jsonschema_gives_the_same_answer_with_references(schema, arguments):
    expected = _jsonschemas_answer(schema, arguments)
    if expected is None:
        with pytest.raises(SchemaError):
            validate_arguments(schema, arguments)
    else:
        assert _fits(schema, arguments) == expected


def test_a_circle_behind_a_problem_does_not_hide_the_problem():
    schema = {
        "properties": {
            "a": {"type": "integer"},
            "b": {"$ref": "#/$defs/round"},
        },
        "$defs": {"round": {"$ref": "#/$defs/again"}, "again": {"$ref": "#/$defs/round"}},
    }

    with pytest.raises(InvalidArguments) as caught:
        validate_arguments(schema, {"a": "x", "b": 1})
    assert len(caught.value.problems) == 1
    with pytest.raises(SchemaError, match="circle"):
        validate_arguments(schema, {"a": 1, "b": 1})
