"""Arguments that do not fit come back as sentences; what is kept, and for whom."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from automate_llm.exceptions import InvalidArguments, SchemaError
from automate_llm.validation import MAX_PROBLEMS, validate_arguments


def _fits(schema: dict[str, Any], arguments: Any) -> bool:
    try:
        validate_arguments(schema, arguments)
    except InvalidArguments:
        return False
    return True


def test_references_and_anchors_are_followed_inside_the_schema():
    schema = {
        "properties": {"tree": {"$ref": "#/$defs/node"}, "n": {"$ref": "#count"}},
        "$defs": {
            "node": {
                "properties": {
                    "value": {"$dynamicRef": "#count"},
                    "next": {"$ref": "#/$defs/node"},
                },
                "additionalProperties": False,
            },
            "count": {"$dynamicAnchor": "count", "type": "integer"},
        },
    }

    assert _fits(schema, {"n": 1, "tree": {"value": 1, "next": {"next": {"value": 2}}}})
    with pytest.raises(InvalidArguments) as caught:
        validate_arguments(schema, {"n": "x", "tree": {"next": {"next": {"value": "x"}}}})
    assert caught.value.problems == (
        '$.tree.next.next.value must be of type integer, not "x".',
        '$.n must be of type integer, not "x".',
    )


def test_problems_name_place_expectation_and_value():
    schema = {
        "type": "object",
        "properties": {
            "query": {"type": "string"},
            "limit": {"type": "integer", "maximum": 100},
            "sort": {"enum": ["price", "name"]},
            "day": {"type": "string", "format": "date"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["query"],
        "additionalProperties": False,
    }
    arguments = {
        "limit": 500,
        "sort": "prize",
        "day": "tomorrow",
        "tags": ["a", {"b": 1}],
        "colour": "red",
    }

    with pytest.raises(InvalidArguments) as caught:
        validate_arguments(schema, arguments)

    assert set(caught.value.problems) == {
        "$.limit must be at most 100, not 500.",
        '$.sort must be one of "price", "name", not "prize".',
        '$.day must be a date such as 2026-01-31, not "tomorrow".',
        "$.tags[1] must be of type string, not an object with 1 properties.",
        '$ lacks "query", which must be given.',
        '$ may not have "colour"; known are: "query", "limit", "sort", "day", "tags".',
    }


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        (
            {"anyOf": [{"type": "string"}, {"required": ["id"]}]},
            {},
            "none of its 2 forms: (1) it must",
        ),
        ({"oneOf": [True, True]}, 1, "more than one form"),
        (
            {"oneOf": [{"const": 1}, {"properties": {"b": {"const": 1}}, "type": "object"}]},
            {"b": 2},
            "(2) b must be 1",
        ),
        (
            {"propertyNames": {"pattern": "^[a-z]+$"}},
            {"A b": 1},
            '"A b": it must match the pattern',
        ),
        ({"dependentRequired": {"x": ["y"]}}, {"x": 1}, 'must have "y" because it has "x"'),
        ({"uniqueItems": True}, ["x", "x"], 'holds "x" more than once'),
        ({"contains": {"const": 1}, "minContains": 2}, [1], "fewer than 2"),
        ({"minLength": 3}, "ab", "at least 3 characters, not 2"),
        ({"maxItems": 0}, [1], "at most 0 items, not 1"),
        ({"unevaluatedProperties": False}, {"x": 1}, 'may not have "x"; known are: none'),
        ({"not": {}}, 1, "rules out"),
        ({"properties": {"b c": False}}, {"b c": 1}, '$.a["b c"] is not allowed there'),
        ({"const": 10**300}, -(10**300), "many digits"),
        ({"const": "x"}, "\u202egnp", "\\u202e"),
    ],
)
def test_a_problem_says_what_would_fit(schema, value, said):
    with pytest.raises(InvalidArguments) as caught:
        validate_arguments({"properties": {"a": schema}}, {"a": value})

    assert said in caught.value.problems[0]
    assert caught.value.problems[0].startswith("$.a")


def test_problems_are_few_and_short_whatever_the_arguments():
    schema = {"additionalProperties": {"enum": [f"{i:060}" for i in range(1_000)]}}

    with pytest.raises(InvalidArguments) as caught:
        validate_arguments(schema, {f"{i}{'k' * 500}": "y" * 5_000 for i in range(100)})

    assert len(caught.value.problems) == MAX_PROBLEMS
    assert max(map(len, caught.value.problems)) <= 400
    assert "more, not" in caught.value.problems[0]


@pytest.mark.parametrize("arguments", [[], "{}", None, 5, True])
def test_arguments_that_are_no_object_are_refused(arguments):
    with pytest.raises(InvalidArguments, match="JSON object"):
        validate_arguments({}, arguments)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        ("\ud800", "surrogate"),
        ("a\x00", "NUL"),
        ("x" * 1_000_000, "at most 1,000,000"),
        (10**5_000, "plain JSON"),
        (object(), "plain JSON"),
    ],
    ids=["nan", "infinity", "surrogate", "nul", "size", "digits", "object"],
)
def test_arguments_that_no_server_or_database_takes_are_refused(value, said):
    with pytest.raises(InvalidArguments, match=said):
        validate_arguments({}, {"a": [value]})


def test_a_backslash_before_u0000_is_no_nul():
    validate_arguments({}, {"a": "C:\\u0000"})


def test_a_broken_schema_fails_closed():
    for schema in ({"type": "array"}, {"properties": {"a": {"pattern": "("}}}, {"required": "a"}):
        with pytest.raises(SchemaError):
            validate_arguments(schema, {})


def test_a_schema_changed_by_its_owner_is_read_again():
    schema = {"properties": {"a": {"type": "integer"}}}
    validate_arguments(schema, {"a": 1})
    schema["properties"]["a"]["type"] = "string"

    assert not _fits(schema, {"a": 1})


def test_a_key_stands_for_the_schema():
    validate_arguments({"required": ["a"]}, {"a": 1}, key=("tool", 7, 1))

    with pytest.raises(InvalidArguments):
        validate_arguments({"never": "read"}, {}, key=("tool", 7, 1))
    validate_arguments({"read": "now"}, {}, key=("tool", 7, 2))


def test_many_threads_may_check_against_one_schema():
    schema = {
        "$comment": "of this test alone",
        "properties": {"a": {"items": {"$ref": "#/$defs/x"}}},
        "$defs": {"x": {"properties": {"n": {"type": "integer", "minimum": 1}}}},
    }

    def check(number: int) -> bool:
        return _fits(schema, {"a": [{"n": number}] * 20})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(check, range(-50, 50)))

    assert answers == [number >= 1 for number in range(-50, 50)]
