"""Names, descriptions and definitions that the model is shown."""

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from automate_llm.exceptions import SchemaError
from automate_llm.functions import (
    clean_text,
    definitions_array,
    function_definition,
    function_name,
)

# Few letters, so that names that could meet are drawn often.
PARTS = st.text(st.sampled_from(["a", "A", "_", "-", "0", ".", "é"]), max_size=6) | st.text()


@pytest.mark.parametrize(
    ("slug", "tool", "name"),
    [
        ("shop", "search", "shop__search"),
        ("shop", "list_items", "shop__list_items"),
        ("my-shop", "a__b", "my-shop__a__b"),
        ("_x", "9", "_x__9"),
    ],
)
def test_a_plain_pair_keeps_its_plain_name(slug, tool, name):
    assert function_name(slug, tool) == name


@pytest.mark.parametrize(
    ("slug", "tool"),
    [
        ("shop", "search.items"),
        ("shop", "find it"),
        ("shop", "搜索"),
        ("shop", "getStock"),
        ("shop", "x" * 60),
        ("shop", ""),
        ("", "x"),
        ("3d", "x"),
        ("-a", "x"),
        ("a__b", "c"),
        ("a_", "b"),
        ("a", "b_0123abcd"),
        ("a", "b\n"),
        ("a", "\ud800"),
    ],
)
def test_any_other_pair_gets_a_hash(slug, tool):
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,54}_[0-9a-f]{8}", function_name(slug, tool))


@given(first=st.tuples(PARTS, PARTS), second=st.tuples(PARTS, PARTS))
@example(first=("a__b", "c"), second=("a", "b__c"))
@example(first=("a_", "b"), second=("a", "_b"))
@example(first=("a", "get"), second=("a", "Get"))
@example(first=("a", "x.y"), second=("a", "x_y"))
@example(first=("a", "x" * 70), second=("a", "x" * 71))
@example(first=("a", "b"), second=("a", "b_" + function_name("a", "b.")[-8:]))
def test_different_pairs_have_names_that_differ_even_without_case(first, second):
    names = [function_name(*first), function_name(*second)]

    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", name) for name in names)
    assert (names[0].lower() == names[1].lower()) is (first == second)


@given(st.lists(st.tuples(PARTS, PARTS), unique=True, max_size=200))
def test_no_two_of_many_tools_share_a_name(pairs):
    assert len({function_name(*pair).lower() for pair in pairs}) == len(pairs)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Plain words.", "Plain words."),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("bell\x07, escape\x1b[31m, NUL\x00", "bell, escape[31m, NUL"),
        ("tags\U000e0041\U000e0042", "tags"),
        ("bidi \u202eevil\u202c\u2066x\u2069", "bidi evilx"),
        ("zero\u200bwid\u200dth\ufeff", "zerowidth"),
        ("selector\ufe0f\U000e0101", "selector"),
        ("soft\u00adhyphen\u2028", "softhyphen"),
        ("half \ud83d", "half \ufffd"),
        ("naïve 搜索 😀", "naïve 搜索 😀"),
        ("\x9b31m", "31m"),
    ],
)
def test_hidden_characters_are_removed_and_others_kept(text, cleaned):
    assert clean_text(text, 1_000) == cleaned


@given(text=st.text(st.characters()), limit=st.integers(0, 40))
def test_cleaned_text_keeps_the_limit_in_bytes_and_is_cut_between_characters(text, limit):
    cleaned = clean_text(text, limit)

    assert len(cleaned.encode()) <= limit
    assert clean_text(text, 10_000).startswith(cleaned)
    assert clean_text(cleaned, limit) == cleaned


def test_a_definition_is_compact_json_in_the_servers_order():
    schema = {
        "type": "object",
        "properties": {"zeta": {"type": "string"}, "alpha": {"description": "Größe\u200b"}},
    }

    definition = function_definition("shop__search", "Find \u202ethings", schema)

    assert definition.decode() == (
        '{"type":"function","function":{"name":"shop__search","description":"Find things",'
        '"parameters":{"type":"object","properties":{"zeta":{"type":"string"},'
        '"alpha":{"description":"Größe"}}}}}'
    )
    assert function_definition("shop__search", "Find \u202ethings", schema) == definition


def test_a_description_has_at_most_four_kilobytes():
    definition = json.loads(function_definition("a", "ä" * 5_000, {}))

    assert len(definition["function"]["description"].encode()) == 4_096


def test_definitions_join_to_one_array():
    first, second = function_definition("a", "", {}), function_definition("b", "", {})

    assert [
        each["function"]["name"] for each in json.loads(definitions_array([first, second]))
    ] == [
        "a",
        "b",
    ]
    assert definitions_array([]) == b"[]"


def test_a_schema_that_is_refused_gives_no_definition():
    with pytest.raises(SchemaError):
        function_definition("a", "", {"type": "array"})
