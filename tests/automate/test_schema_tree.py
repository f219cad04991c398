"""A schema as a tree that people read."""

import json
import time
from html import unescape
from typing import Any

import pytest
from django.utils.html import strip_tags

from automate.admin.schema_tree import MAX_NODES, schema_tree
from automate.admin.showing import visible


def words(schema: Any) -> str:
    return " ".join(unescape(strip_tags(schema_tree(schema).replace("<", " <"))).split())


def test_each_argument_has_its_name_type_limits_and_words() -> None:
    schema = {
        "type": "object",
        "properties": {
            "limit": {"type": "integer", "maximum": 100, "default": 10, "description": "At most."},
            "sort": {"type": ["string", "null"], "enum": ["price", "name"]},
        },
        "required": ["limit"],
        "additionalProperties": False,
    }

    said = words(schema)

    assert "limit integer required At most. maximum 100 default 10" in said
    assert 'sort string | null enum ["price", "name"]' in said
    assert "additionalProperties false" in said


def test_a_word_that_no_dialect_knows_is_shown_too() -> None:
    assert 'x-note "do it twice"' in words({"x-note": "do it twice", "properties": {}})


def test_references_are_followed_and_those_without_end_are_marked() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    schema = {"$defs": {"node": node}, "properties": {"first": {"$ref": "#/$defs/node"}}}

    said = words(schema)

    assert said.startswith("first $ref #/$defs/node object next $ref #/$defs/node")
    assert said.count("without end") == 1


@pytest.mark.parametrize("target", ["#/$defs/nothing", "https://a.example/schema"])
def test_a_reference_that_leads_nowhere_is_said_to(target: str) -> None:
    assert "points at nothing" in words({"properties": {"a": {"$ref": target}}})


def test_references_that_double_at_each_step_end() -> None:
    def twice(number: int) -> dict[str, Any]:
        target = {"$ref": f"#/$defs/d{number}"}
        return {"properties": {"a": target, "b": target}}

    schema = {"$defs": {f"d{n}": twice(n + 1) for n in range(30)} | {"d30": {}}, **twice(0)}

    tree = schema_tree(schema)

    assert "not followed any deeper" in tree
    assert tree.count("<li>") <= MAX_NODES


def test_a_schema_of_100_kb_is_a_tree_in_time() -> None:
    many = {f"argument_{n}": {"type": "string", "description": "x" * 40} for n in range(1_000)}
    schema = {"type": "object", "properties": many}
    assert len(json.dumps(schema)) > 90_000
    began = time.process_time()

    tree = schema_tree(schema)

    assert time.process_time() - began < 1
    assert "argument_999" in tree


def test_a_tree_that_is_too_large_says_so() -> None:
    tree = schema_tree({"properties": {f"a{n}": {} for n in range(MAX_NODES + 10)}})

    assert "the JSON below has all of it" in tree
    assert f"a{MAX_NODES}" not in tree


@pytest.mark.parametrize(
    "schema", [True, {"properties": 7, "items": [True, {}]}, {"type": 7}, {"required": "a"}, {}]
)
def test_a_schema_that_is_none_is_shown_all_the_same(schema: Any) -> None:
    assert schema_tree(schema)


def test_hostile_words_are_text_and_hidden_characters_have_numbers() -> None:
    schema = {"properties": {"<script>": {"description": "<b>a\u202eb\u200b</b>", "x": "</pre>"}}}

    tree = schema_tree(schema)

    assert "<script>" not in tree and "<b>" not in tree and "</pre>" not in tree
    for number in ("U+202E", "U+200B"):
        assert f">{number}</mark>" in tree


def test_line_breaks_stay_and_half_a_character_is_shown() -> None:
    assert visible("a\n\tb") == "a\n\tb"
    assert "U+D800" in visible("\ud800")
