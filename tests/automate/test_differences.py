"""How two definitions differ: words in texts, paths in schemas."""

import time
from typing import Any

import pytest

from automate.definitions import Definition
from automate.differences import MAX_CHANGES, definition_changes, path_changes, word_changes


def definition(**parts: Any) -> Definition:
    return Definition(
        name="search",
        title=parts.get("title", "Search"),
        description=parts.get("description", "Finds."),
        input_schema=parts.get("input_schema", {}),
        output_schema=parts.get("output_schema"),
        annotations=parts.get("annotations", {}),
    )


def told(before: Any, after: Any) -> list[str]:
    words = {
        "changed": "{0}: {1!r} → {2!r}",
        "added": "added {0}: {2!r}",
        "removed": "removed {0}: {1!r}",
    }
    return [
        words[change.kind].format(change.path, change.before, change.after)
        for change in path_changes(before, after)
    ]


def test_words_that_came_and_went_are_told_apart_from_those_that_stayed() -> None:
    pieces = word_changes("Finds articles by words.", "Finds and deletes articles by words.")

    assert [(piece.kind, piece.text) for piece in pieces] == [
        ("same", "Finds"),
        ("added", " and deletes"),
        ("same", " articles by words."),
    ]


@pytest.mark.parametrize(
    ("before", "after"), [("", "a b"), ("a  b\n", ""), ("a b c", "c b a"), ("x\u202ey z", "x y z")]
)
def test_the_pieces_of_each_side_are_its_whole_text(before: str, after: str) -> None:
    pieces = word_changes(before, after)

    assert "".join(p.text for p in pieces if p.kind != "added") == before
    assert "".join(p.text for p in pieces if p.kind != "removed") == after


def test_a_place_in_a_schema_is_told_by_its_path() -> None:
    before = {"properties": {"limit": {"maximum": 10, "type": "integer"}, "sort": {}}}
    after = {"properties": {"limit": {"maximum": 1000, "type": "integer"}, "a.b": {"x": [1]}}}

    assert told(before, after) == [
        "properties.limit.maximum: 10 → 1000",
        "removed properties.sort: {}",
        "added properties[\"a.b\"]: {'x': [1]}",
    ]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            {"required": ["a", "b"]},
            {"required": ["b", "c"]},
            ["removed required: 'a'", "added required: 'c'"],
        ),
        ({"enum": [1, 2]}, {"enum": [2, 1]}, ["enum: [1, 2] → [2, 1]"]),
        ({"a": 1}, {"a": True}, ["a: 1 → True"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}, {}]}, ["a[0].b: 1 → 2"]),
        ({"a": None}, {}, ["removed a: None"]),
        ({"a": {"b": 1}}, {"a": 1}, ["a: {'b': 1} → 1"]),
    ],
)
def test_lists_and_kinds_of_values_are_compared_as_what_they_are(
    before: Any, after: Any, said: list[str]
) -> None:
    assert told(before, after)[: len(said)] == said


def test_only_the_parts_that_differ_are_listed_and_no_output_schema_is_one_too() -> None:
    before = definition()
    after = definition(description="Deletes.", output_schema={"type": "object"})

    assert [change.field for change in definition_changes(before, after)] == [
        "description",
        "output_schema",
    ]
    assert definition_changes(before, before) == []


def test_what_is_not_listed_any_more_is_counted() -> None:
    after = definition(input_schema={"properties": {f"p{n}": {} for n in range(1_000)}})
    before = definition(input_schema={"properties": {}})

    [change] = definition_changes(before, after)

    assert (len(change.changes), change.more) == (MAX_CHANGES, 1_000 - MAX_CHANGES)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a " * 2_000, "b " + "a " * 1_999),
        (" ".join(map(str, range(900))), " ".join(map(str, reversed(range(900))))),
        ("a b " * 1_000, "b a a " * 700),
    ],
)
def test_texts_that_are_made_to_be_slow_are_compared_in_time(before: str, after: str) -> None:
    began = time.process_time()

    word_changes(before, after)

    assert time.process_time() - began < 1
