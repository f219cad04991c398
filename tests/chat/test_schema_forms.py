"""Objects as forms: shown in a browser, sent back, and the same again unless somebody typed."""

import json
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.http import QueryDict
from django.template.loader import render_to_string
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.schema_forms import MAX_FIELDS, SchemaForm, with_order
from tests.thoroughness import examples

EVERYTHING = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Your name", "minLength": 2, "maxLength": 20},
        "mail": {"type": "string", "format": "email", "description": "Where it goes."},
        "page": {"type": "string", "format": "uri"},
        "day": {"type": "string", "format": "date"},
        "moment": {"type": "string", "format": "date-time"},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "weight": {"type": "number"},
        "sure": {"type": "boolean"},
        "size": {"type": "string", "enum": ["s", "m", "l"]},
        "colour": {
            "type": "string",
            "oneOf": [{"const": "#f00", "title": "Red"}, {"const": "#00f", "title": "Blue"}],
        },
        "old": {"type": "string", "enum": ["a", "b"], "enumNames": ["Ah", "Beh"]},
        "extras": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "enum": ["salt", "pepper"]},
        },
        "more": {
            "type": "array",
            "items": {"anyOf": [{"const": "x", "title": "Ex"}, {"const": "y", "title": "Why"}]},
        },
    },
    "required": ["name", "count"],
}


class Browser(HTMLParser):
    """Reads a form as a browser does, and sends it back as it stands."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sent = QueryDict(mutable=True)
        self._area: list[str] | None = None
        self._area_name = ""
        self._select = ""
        self.labels = html
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        found = dict(attrs)
        if tag == "textarea":
            self._area, self._area_name = [], found["name"]
        elif tag == "select":
            self._select = found["name"]
        elif tag == "option" and "selected" in found:
            self.sent.setlist(self._select, [found["value"]])
        elif tag == "input":
            is_box = found.get("type") in ("checkbox", "radio")
            if not is_box or "checked" in found:
                # One line has no line ends.
                value = (found.get("value") or "").replace("\n", "").replace("\r", "")
                self.sent.appendlist(found["name"], value)

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            text = "".join(self._area).removeprefix("\r").removeprefix("\n")
            text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
            self.sent.setlist(self._area_name, [text])
            self._area = None


def form_of(schema: Any, value: Any, data: Any = None, *, asks: bool = False) -> SchemaForm:
    return SchemaForm(schema, value, data, prefix="p", asks=asks)


def shown(schema: Any, value: Any, *, asks: bool = False) -> Browser:
    form = form_of(schema, value, asks=asks)
    return Browser(render_to_string("chat/partials/schema_form.html", {"form": form}))


def sent_back(schema: Any, value: Any, *, asks: bool = False, **typed: Any) -> SchemaForm:
    """The form as it comes back, with what somebody typed into fields, by property."""
    browser = shown(schema, value, asks=asks)
    fields = form_of(schema, value, asks=asks).fields
    keys = {getattr(field, "name", ""): key for key, field in fields.items()}
    for name, text in typed.items():
        key = f"p-{keys[name]}"
        browser.sent.setlist(key, text if isinstance(text, list) else [text])
    return form_of(schema, value, browser.sent, asks=asks)


def object_of(form: SchemaForm) -> Any:
    assert form.is_valid(), form.errors
    return form.object


def problems(form: SchemaForm) -> dict[str, list[str]]:
    assert not form.is_valid()
    return {
        getattr(form.fields.get(key), "name", key): [str(each) for each in errors]
        for key, errors in form.errors.items()
    }


plain = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
leaf = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), plain
)
anything = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3)
)
moments = st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat())
properties: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "text": ({"type": "string"}, plain),
    "maybe": ({"anyOf": [{"type": "string"}, {"type": "null"}]}, st.none() | plain),
    "whole": ({"type": "integer"}, st.integers()),
    "number": ({"type": "number"}, st.floats(allow_nan=False, allow_infinity=False)),
    "none": ({"type": ["number", "null"]}, st.none() | st.integers()),
    "sure": ({"type": "boolean"}, st.booleans()),
    "one": ({"enum": ["", "a", 1, True, None]}, st.sampled_from(["", "a", 1, True, None])),
    "some": (
        {"type": "array", "items": {"type": "string", "enum": ["a", "b", "c"]}},
        st.lists(st.sampled_from(["a", "b", "c"]), max_size=4),
    ),
    "day": ({"type": "string", "format": "date"}, st.dates().map(str)),
    "moment": ({"type": "string", "format": "date-time"}, moments),
    "anything": ({}, anything),
    "object": ({"type": "object"}, st.dictionaries(plain, leaf, max_size=3)),
}


@st.composite
def objects(draw: Callable[[Any], Any]) -> tuple[Any, Any, bool]:
    """A schema, an object that fits it, and whether it is an answer."""
    names = draw(st.lists(st.sampled_from(sorted(properties)), unique=True))
    schema: Any = {"type": "object", "properties": {name: properties[name][0] for name in names}}
    given_names = draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    value = {name: draw(properties[name][1]) for name in given_names}
    schema["required"] = draw(st.lists(st.sampled_from(given_names), unique=True)) if value else []
    extra = draw(st.dictionaries(plain.filter(lambda name: name not in names), leaf, max_size=2))
    return schema, {**extra, **value}, draw(st.booleans())


@given(objects())
@settings(max_examples=examples(120), deadline=None)
def test_what_nobody_touched_comes_back_to_the_last_character(drawn: Any) -> None:
    schema, value, asks = drawn

    found = sent_back(schema, value, asks=asks)
    found.is_valid()

    # A moment whose offset has seconds is none of RFC 3339; that was so before it was shown.
    assert not found.errors or any("date-time" in str(each) for each in found.errors.values())
    if not found.errors:
        assert json.dumps(found.object, sort_keys=True) == json.dumps(value, sort_keys=True)


@given(
    name=st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=2, max_size=20),
    count=st.integers(1, 9),
    weight=st.floats(allow_nan=False, allow_infinity=False),
    sure=st.booleans(),
    size=st.sampled_from("sml"),
    extras=st.sets(st.sampled_from(["salt", "pepper"]), min_size=1),
    day=st.dates().map(str),
)
@settings(max_examples=examples(40), deadline=None)
def test_what_somebody_typed_is_what_the_form_says(**typed: Any) -> None:
    sent = {
        "name": typed["name"],
        "count": f" {typed['count']} ",
        "weight": repr(typed["weight"]),
        "sure": "0" if typed["sure"] else "1",
        "size": str("sml".index(typed["size"])),
        "extras": [str(["salt", "pepper"].index(each)) for each in typed["extras"]],
        "day": typed["day"],
    }

    found = object_of(sent_back(EVERYTHING, {}, asks=True, **sent))

    assert found == typed | {"extras": sorted(typed["extras"], reverse=True)}


def test_labels_and_help_come_from_the_schema() -> None:
    html = shown(EVERYTHING, {}, asks=True).labels

    assert "Your name</label>" in html
    assert "Where it goes. Optional." in html
    for words in ("Red", "Blue", "Ah", "Beh", "Ex", "Why"):
        assert words in html
    assert html.count('type="checkbox"') == 4
    assert 'type="date"' in html and 'type="datetime-local"' in html


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({}, {"name": "needed", "count": "needed"}),
        ({"name": "x", "count": "3"}, {"name": "at least 2"}),
        ({"name": "x" * 21, "count": "3"}, {"name": "at most 20"}),
        ({"name": "Ann", "count": "0"}, {"count": "1"}),
        ({"name": "Ann", "count": "three"}, {"count": "whole number"}),
        ({"name": "Ann", "count": "1.5"}, {"count": "whole number"}),
        ({"name": "Ann", "count": "1", "weight": "NaN"}, {"weight": "number"}),
        ({"name": "Ann", "count": "1", "mail": "nowhere"}, {"mail": "email"}),
        ({"name": "Ann", "count": "1", "page": "no page"}, {"page": "uri"}),
        ({"name": "Ann", "count": "1", "day": "2026-02-30"}, {"day": "date"}),
        ({"name": "Ann", "count": "1", "moment": "soon"}, {"moment": "date and a time"}),
        ({"name": "Ann", "count": "1", "size": "7"}, {"size": "options"}),
        ({"name": "Ann", "count": "1", "extras": ["9"]}, {"extras": "options"}),
    ],
)
def test_what_does_not_fit_is_told_beside_its_field(typed: Any, told: Any) -> None:
    found = problems(sent_back(EVERYTHING, {}, asks=True, **typed))

    assert found.keys() == told.keys()
    for name, words in told.items():
        assert words in found[name][0]


def test_a_moment_is_typed_on_the_sites_clock(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    schema = {"type": "object", "properties": {"at": {"type": "string", "format": "date-time"}}}

    typed = object_of(sent_back(schema, {}, at="2026-07-01T12:30"))
    untouched = sent_back(schema, {"at": "2026-07-01T10:30:00.123456Z"})

    assert typed == {"at": "2026-07-01T12:30:00+02:00"}
    assert "2026-07-01T12:30:00.123" in shown(schema, {"at": "2026-07-01T10:30:00.123456Z"}).labels
    assert object_of(untouched) == {"at": "2026-07-01T10:30:00.123456Z"}


def test_text_that_cannot_be_seen_is_shown_as_escapes() -> None:
    schema = {"type": "object", "properties": {"to": {"type": "string"}}}
    value = {"to": "ann\u202egro.elpmaxe\U000e0041"}
    html = shown(schema, value).labels

    assert "\u202e" not in html and "\\u202e" in html and "\\udb40\\udc41" in html
    assert object_of(sent_back(schema, value)) == value


def test_an_optional_text_that_is_emptied_is_left_out() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "required": ["b"],
    }

    found = object_of(sent_back(schema, {"a": "x", "b": "y"}, a="", b=""))

    assert found == {"b": ""}


def test_what_has_no_plain_field_is_written_as_json() -> None:
    schema = {
        "type": "object",
        "properties": {"lines": {"type": "array", "items": {"type": "object"}}},
    }

    changed = sent_back(schema, {"lines": [{"sku": "A"}]}, lines='[{"sku": "B"}]')
    broken = sent_back(schema, {"lines": [{"sku": "A"}]}, lines="[{")

    assert object_of(changed) == {"lines": [{"sku": "B"}]}
    assert problems(broken) == {"lines": ["This is not valid JSON."]}


def test_a_reference_to_an_enum_is_a_choice() -> None:
    schema = {
        "type": "object",
        "properties": {"size": {"$ref": "#/$defs/Size"}},
        "$defs": {"Size": {"type": "string", "enum": ["small", "large"]}},
    }

    assert 'type="radio"' in shown(schema, {"size": "small"}).labels
    assert object_of(sent_back(schema, {"size": "small"}, size="1")) == {"size": "large"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {
            "type": "object",
            "properties": {f"p{n}": {"type": "string"} for n in range(MAX_FIELDS + 1)},
        },
    ],
)
def test_without_plain_properties_the_whole_object_is_json(schema: Any) -> None:
    value = {"p1": "x"}

    assert list(form_of(schema, value).fields) == ["rest"]
    sent = QueryDict("", mutable=True)
    sent["p-rest"] = '{"p1": "y"}'
    assert object_of(form_of(schema, value, sent)) == {"p1": "y"}


def test_a_field_beside_the_named_ones_can_be_changed_but_hide_none() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    value = {"a": "x", "b": 1}

    assert object_of(sent_back(schema, value, rest='{"b": 2}')) == {"a": "x", "b": 2}
    assert problems(sent_back(schema, value, rest='{"a": 2}')).keys() == {"rest"}
    assert problems(sent_back(schema, value, rest="[]")).keys() == {"rest"}


def test_the_order_of_properties_outlives_a_database_that_keeps_none() -> None:
    named = {"b": {"type": "string"}, "a": {"type": "string"}, "c": {"type": "string"}}
    schema = with_order({"type": "object", "properties": named, "required": ["c"]})
    shuffled = schema | {"properties": dict(sorted(named.items()))}
    unordered = {"type": "object", "properties": dict(sorted(named.items())), "required": ["c"]}

    assert [field.name for field in form_of(shuffled, {}).fields.values()] == ["b", "a", "c"]  # type: ignore[attr-defined]
    assert [field.name for field in form_of(unordered, {}).fields.values()] == ["c", "a", "b"]  # type: ignore[attr-defined]


def test_hostile_words_of_a_schema_are_text() -> None:
    evil = '"><script>alert(1)</script>'
    schema = {
        "type": "object",
        "properties": {
            evil: {"type": "string", "title": evil, "description": evil},
            "b": {"type": "string", "oneOf": [{"const": evil, "title": evil}]},
            "c": {"type": "string", "default": evil},
        },
    }

    assert "<script" not in shown(schema, {evil: evil, "c": evil}).labels
