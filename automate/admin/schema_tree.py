"""A JSON Schema as a tree that people read: nested lists that open and close without a script."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from automate_llm.exceptions import SchemaError
from automate_llm.schemas import examine

from .showing import folded_json, visible

MAX_NODES = 2_000
"""Of one tree; what is deeper is in its JSON."""

MAX_REFERENCES = 6
"""How many references are followed inside each other."""

_OPEN_LEVELS = 2
_MAX_VALUES = 100
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_NAMED = ("properties", "patternProperties", "dependentSchemas")
_LISTED = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = (
    *("items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else"),
    *("unevaluatedItems", "unevaluatedProperties", "contentSchema"),
)
# Shown in a place of their own, or of no meaning to a reader.
_SHOWN_ELSEWHERE = {
    *("type", "title", "description", "required", "$defs", "definitions", "$schema", "$id"),
    *("$anchor", "$dynamicAnchor", "$comment", "$recursiveAnchor", "$vocabulary"),
}


def schema_tree(schema: Any) -> SafeString:
    """The tree of a schema; of one that no arguments can be checked against, as far as it goes."""
    if not isinstance(schema, dict):
        return visible(json.dumps(schema))
    return _Tree(schema).root()


def schema_shown(schema: Any) -> SafeString:
    """The tree of a schema, and its JSON below; a dash where there is none."""
    if schema is None:
        return SafeString("–")
    return schema_tree(schema) + folded_json(schema)


class _Tree:
    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._left = MAX_NODES
        try:
            self._references = examine(schema, of_arguments=False).references
        except SchemaError:
            self._references = {}

    def root(self) -> SafeString:
        inner = self._inside(self._schema, 0, ())
        if not inner:
            return format_html('<p class="quiet">{}</p>', _("It names nothing in particular."))
        return format_html('<div class="automate-tree">{}</div>', inner)

    def _node(
        self, label: SafeString, schema: Any, depth: int, followed: tuple[str, ...], required: bool
    ) -> SafeString:
        self._left -= 1
        if self._left == 0:
            return format_html("<li>{}</li>", _("… more; the JSON below has all of it"))
        marks = [_type_words(schema)]
        if required:
            marks.append(format_html("<strong>{}</strong>", _("required")))
        head = format_html(
            "{} {}", label, format_html_join(" ", "<span>{}</span>", ((mark,) for mark in marks))
        )
        inner = self._inside(schema, depth + 1, followed)
        if not inner:
            return format_html('<li><div class="automate-leaf">{}</div></li>', head)
        return format_html(
            "<li><details{}><summary>{}</summary>{}</details></li>",
            mark_safe(" open") if depth < _OPEN_LEVELS else "",
            head,
            inner,
        )

    def _inside(self, schema: Any, depth: int, followed: tuple[str, ...]) -> SafeString:
        """What stands under a node: its words, its limits, and the nodes below it."""
        if not isinstance(schema, Mapping):
            return SafeString("")
        parts = [*_words(schema), _facts(schema)]
        references = [schema[key] for key in _REFERENCES if isinstance(schema.get(key), str)]
        children = list(self._children(schema, depth, followed))
        for reference in references:
            children += self._followed(reference, depth, followed)
        if children:
            parts.append(format_html("<ul>{}</ul>", mark_safe("".join(children))))  # noqa: S308  so is each of these
        return mark_safe("".join(parts))  # noqa: S308  each part is escaped

    def _followed(
        self, reference: str, depth: int, followed: tuple[str, ...]
    ) -> Iterator[SafeString]:
        """What a reference points at, where that ends."""
        label = _label("$ref", reference)
        target = self._references.get(reference)
        note = ""
        if reference in followed:
            note = _("the same again, from here on without end")
        elif target is None:
            note = _("points at nothing")
        elif len(followed) >= MAX_REFERENCES:
            note = _("is not followed any deeper")
        if self._left <= 0:
            return
        if note:
            self._left -= 1
            yield format_html(
                '<li><div class="automate-leaf">{} <em>{}</em></div></li>', label, note
            )
        else:
            yield self._node(label, target, depth, (*followed, reference), False)

    def _children(
        self, schema: Mapping[str, Any], depth: int, followed: tuple[str, ...]
    ) -> Iterator[SafeString]:
        listed = schema.get("required")
        required = (
            {name for name in listed if isinstance(name, str)}
            if isinstance(listed, list)
            else set()
        )
        for label, inner, name in _subschemas(schema):
            if self._left <= 0:
                return
            yield self._node(label, inner, depth, followed, name in required)


def _subschemas(schema: Mapping[str, Any]) -> Iterator[tuple[SafeString, Any, str | None]]:
    """The schemas right below this one: how each is called, and which property it is of."""
    for keyword in _NAMED:
        if isinstance(schema.get(keyword), Mapping):
            for name, inner in schema[keyword].items():
                if keyword == "properties":
                    yield _label("", name), inner, name
                else:
                    yield _label(keyword, name), inner, None
    for keyword in _LISTED:
        if isinstance(schema.get(keyword), list):
            for number, inner in enumerate(schema[keyword], start=1):
                yield _label(keyword, str(number)), inner, None
    for keyword in _SINGLE:
        inner = schema.get(keyword)
        if isinstance(inner, list):
            for number, each in enumerate(inner, start=1):
                yield _label(keyword, str(number)), each, None
        elif isinstance(inner, Mapping):
            yield _label(keyword, ""), inner, None


def _label(keyword: str, name: str) -> SafeString:
    shown = format_html("<code>{}</code>", visible(name)) if name else ""
    if not keyword:
        return format_html("{}", shown)
    return format_html('<span class="automate-keyword">{}</span> {}', keyword, shown)


def _type_words(schema: Any) -> SafeString:
    if isinstance(schema, bool):
        return visible(_("anything") if schema else _("nothing"))
    types = schema.get("type") if isinstance(schema, Mapping) else None
    if isinstance(types, str):
        return visible(types)
    return visible(" | ".join(map(str, types))) if isinstance(types, list) else SafeString("")


def _words(schema: Mapping[str, Any]) -> Iterator[SafeString]:
    for keyword in ("title", "description"):
        text = schema.get(keyword)
        if isinstance(text, str) and text.strip():
            yield format_html('<p class="automate-said" dir="auto">{}</p>', visible(text))


def _facts(schema: Mapping[str, Any]) -> SafeString:
    """Every other word of the schema with its value, known or not: nothing is left out."""
    subschemas = {*_NAMED, *_LISTED, *_SINGLE, *_REFERENCES}
    found = [
        (visible(keyword), visible(_value(value)))
        for keyword, value in schema.items()
        if keyword not in _SHOWN_ELSEWHERE
        and (keyword not in subschemas or isinstance(value, bool))
    ]
    if not found:
        return SafeString("")
    rows = format_html_join("", "<div><dt>{}</dt><dd><code>{}</code></dd></div>", found)
    return format_html('<dl class="automate-limits">{}</dl>', rows)


def _value(value: Any) -> str:
    if isinstance(value, list) and len(value) > _MAX_VALUES:
        shown = json.dumps(value[:_MAX_VALUES], ensure_ascii=False)[:-1]
        return _("%(values)s, … and %(n)d more") % {
            "values": shown,
            "n": len(value) - _MAX_VALUES,
        }
    return json.dumps(value, ensure_ascii=False)
