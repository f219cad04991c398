"""A Django form for an object that a JSON Schema describes: arguments of a tool, or an answer.

Plain properties get fields of their own, everything else a box for JSON. What is left empty and
is not required is left out; what is left alone stays as it was, to the last character.
Source: MCP 2026-07-28, client/elicitation, for the schemas of questions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from automate_llm.exceptions import InvalidArguments, SchemaError
from automate_llm.formats import is_date
from automate_llm.problems import path_text
from automate_llm.text import clean_text
from automate_llm.validation import validate_arguments

from .rendering import visible_text
from .schema_fields import (
    MISSING,
    ChoiceField,
    DateTimeField,
    JSONTextField,
    MultipleChoiceField,
    NumberField,
    PropertyField,
    TextField,
    local_moment,
    position,
)

MAX_FIELDS = 50
"""An object with more properties is one box of JSON."""

MAX_CHOICES = 200
MAX_CHECKBOXES = 50

_REST = "rest"
_ORDER = "propertyOrder"

Schema = Mapping[str, Any]


class SchemaForm(forms.Form):
    """An object as a form. `value` is the object as it stands, or the defaults of a new one.

    `asks` where a person gives the object, rather than corrects it: an empty text is then none.
    """

    def __init__(
        self,
        schema: Schema,
        value: Mapping[str, Any],
        data: Mapping[str, Any] | None = None,
        *,
        prefix: str,
        asks: bool = False,
        key: str | None = None,
    ) -> None:
        super().__init__(data, prefix=prefix, use_required_attribute=False)
        self._schema = schema
        self._value = dict(value)
        self._key = key
        named = _properties(schema)
        required = schema.get("required")
        needed = required if isinstance(required, list) else []
        for number, (name, part) in enumerate(named.items()):
            self.fields[f"f{number}"] = property_field(
                name,
                part,
                self._value.get(name, MISSING),
                root=schema,
                is_required=name in needed,
                asks=asks,
            )
        rest = {name: each for name, each in self._value.items() if name not in named}
        if rest or (not named and not _is_closed(schema)):
            label = _("Other fields, as JSON") if named else _("As JSON")
            self.fields[_REST] = JSONTextField(_REST, rest, _text_area(3), label=label)

    @property
    def object(self) -> dict[str, Any]:
        """What the form says; for forms that are valid."""
        found: dict[str, Any] = self.cleaned_data["object"]
        return found

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        rest = cleaned.get(_REST, {})
        if rest is MISSING:
            rest = {}
        named = self._named()
        if not isinstance(rest, dict) or not rest.keys().isdisjoint(named):
            self.add_error(_REST, _("Write one JSON object, of fields that have none above."))
            return cleaned
        found = {field.name: cleaned[key] for field, key in named.values()}
        found = {name: each for name, each in found.items() if each is not MISSING} | rest
        self._check(found)
        return cleaned | {"object": found}

    def _named(self) -> dict[str, tuple[PropertyField, str]]:
        """The fields that stand for one property each, by its name."""
        return {
            field.name: (field, key)
            for key, field in self.fields.items()
            if key != _REST and isinstance(field, PropertyField)
        }

    def _check(self, found: dict[str, Any]) -> None:
        try:
            validate_arguments(self._schema, found, key=self._key)
        except SchemaError as exc:
            self.add_error(None, _("This cannot be checked: %(why)s") % {"why": exc})
        except InvalidArguments as exc:
            for problem in exc.problems:
                self._add_problem(problem)

    def _add_problem(self, problem: str) -> None:
        """Say it beside the field that it is about, where there is one."""
        for name, (_field, key) in self._named().items():
            path = path_text([name])
            if problem.startswith(path) and problem[len(path) :][:1] in " .[":
                words = problem[len(path) :].lstrip()
                self.add_error(key, _("It %(what)s") % {"what": words})
                return
        self.add_error(None, _("It %(what)s") % {"what": problem.removeprefix("$").lstrip()})


def property_field(
    name: str, schema: Any, value: Any, *, root: Schema, is_required: bool, asks: bool
) -> PropertyField:
    """The field for one property; a box of JSON where no plainer one can show its value."""
    part, is_nullable = _plain(schema, root)
    options: dict[str, Any] = {
        "label": _words(part.get("title") or _title_of(schema), 100) or visible_text(name)[:100],
        "help_text": _help(schema, part, value, is_required),
        "is_required": is_required,
        "is_nullable": is_nullable,
    }
    shown = value if value is not MISSING and not (value is None and is_nullable) else MISSING
    field = (
        _choice(name, part, value, shown, options)
        or _multiple_choice(name, part, value, shown, options)
        or _text(name, part, value, shown, options, asks)
        or _number(name, part, value, shown, options)
    )
    return field or JSONTextField(name, value, _text_area(2), **_of_json(options))


def _of_json(options: dict[str, Any]) -> dict[str, Any]:
    hint = _("As JSON.")
    return options | {"help_text": f"{options['help_text']} {hint}".strip(), "is_nullable": False}


def _choice(
    name: str, part: Schema, value: Any, shown: Any, options: dict[str, Any]
) -> PropertyField | None:
    if part.get("type") == "boolean":
        values, labels = [True, False], [_("Yes"), _("No")]
    else:
        found = _options(part)
        if found is None:
            return None
        values, labels = found
    if len(values) > MAX_CHOICES or (shown is not MISSING and position(values, shown) is None):
        return None
    return ChoiceField(name, value, values, labels, **options)


def _multiple_choice(
    name: str, part: Schema, value: Any, shown: Any, options: dict[str, Any]
) -> PropertyField | None:
    items = part.get("items")
    if part.get("type") != "array" or not isinstance(items, dict) or options["is_nullable"]:
        return None
    found = _options(items)
    if found is None or len(found[0]) > MAX_CHECKBOXES:
        return None
    values, labels = found
    if shown is not MISSING and not (
        isinstance(shown, list) and all(position(values, each) is not None for each in shown)
    ):
        return None
    return MultipleChoiceField(name, value, values, labels, **options)


def _text(
    name: str, part: Schema, value: Any, shown: Any, options: dict[str, Any], asks: bool
) -> PropertyField | None:
    if part.get("type") != "string":
        return None
    text = "" if shown is MISSING else shown
    if not isinstance(text, str) or clean_text(text, 4 * len(text)) != text:
        return None  # what cannot be seen is shown as JSON, with escapes
    kind = part.get("format")
    if kind == "date" and (not text or is_date(text)):
        return PropertyField(name, value, forms.TextInput({"type": "date"}), **options)
    if kind == "date-time" and (not text or local_moment(text) is not None):
        widget = forms.TextInput({"type": "datetime-local", "step": "any"})
        return DateTimeField(name, value, widget, **options)
    longest = part.get("maxLength")
    is_long = isinstance(longest, int) and longest > 200
    one_line = kind in ("email", "uri") or (asks and not is_long)
    widget_of_text: forms.Widget = _text_area(1)
    if one_line and "\n" not in text:
        modes = {"email": "email", "uri": "url"}
        mode = {"inputmode": modes[kind]} if kind in modes else {}
        widget_of_text = forms.TextInput(mode | {"autocomplete": "off", "dir": "auto"})
    return TextField(name, value, widget_of_text, empty_counts=not asks, **options)


def _number(
    name: str, part: Schema, value: Any, shown: Any, options: dict[str, Any]
) -> PropertyField | None:
    kind = part.get("type")
    is_number = shown is MISSING or (isinstance(shown, int | float) and shown is not True)
    if kind not in ("integer", "number") or not is_number or shown is False:
        return None
    mode = {"inputmode": "numeric" if kind == "integer" else "decimal", "autocomplete": "off"}
    return NumberField(name, value, forms.TextInput(mode), is_whole=kind == "integer", **options)


def _options(part: Schema) -> tuple[list[Any], list[str]] | None:
    """The values of an enum and their words, in any way that the protocol writes one."""
    for key in ("oneOf", "anyOf"):
        titled = part.get(key)
        if isinstance(titled, list) and titled:
            if not all(isinstance(each, dict) and "const" in each for each in titled):
                return None
            values = [each["const"] for each in titled]
            names = [each.get("title") for each in titled]
            return values, [_option(*pair) for pair in zip(values, names, strict=True)]
    values = part.get("enum")  # type: ignore[assignment]
    if not isinstance(values, list) or not values:
        return None
    names = part.get("enumNames")  # type: ignore[assignment]
    if not isinstance(names, list) or len(names) != len(values):
        names = [None] * len(values)
    return values, [_option(*pair) for pair in zip(values, names, strict=True)]


def _option(value: Any, title: Any) -> str:
    return _words(title, 100) or visible_text(str(value))[:100]


def with_order(schema: Schema) -> dict[str, Any]:
    """The schema with the order of its properties, which PostgreSQL keeps of no object."""
    named = schema.get("properties")
    return {**schema, _ORDER: list(named)} if isinstance(named, dict) else dict(schema)


def _properties(schema: Schema) -> dict[str, Any]:
    """The properties in their order where that is known, else those first that must be given."""
    named = schema.get("properties")
    if not isinstance(named, dict) or len(named) > MAX_FIELDS:
        return {}
    order = schema.get(_ORDER) or schema.get("required")
    first = order if isinstance(order, list) else []
    names = [name for name in first if isinstance(name, str) and name in named]
    return {name: named[name] for name in [*dict.fromkeys(names), *named]}


def _is_closed(schema: Schema) -> bool:
    """Whether an object without any property is all that fits."""
    return schema.get("properties") == {}


def _plain(schema: Any, root: Schema) -> tuple[dict[str, Any], bool]:
    """A property's schema without a reference and without `null` beside its own type."""
    part = _resolved(schema, root)
    branches = part.get("anyOf")
    if isinstance(branches, list) and {"type": "null"} in branches:
        others = [each for each in branches if each != {"type": "null"}]
        if len(others) == 1:
            return _resolved(others[0], root), True
    kinds = part.get("type")
    if isinstance(kinds, list) and len(kinds) == 2 and "null" in kinds:
        other = next((each for each in kinds if each != "null"), None)
        has_null = "enum" in part and None in part["enum"]
        if not has_null:
            return part | {"type": other}, True
    return part, False


def _resolved(schema: Any, root: Schema) -> dict[str, Any]:
    """What a reference into the schema's own definitions leads to, one step far."""
    if not isinstance(schema, dict):
        return {}
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    kind, _slash, name = reference.removeprefix("#/").partition("/")
    found = root.get(kind)
    target = found.get(name) if kind in ("$defs", "definitions") and isinstance(found, dict) else {}
    return target if isinstance(target, dict) and "$ref" not in target else {}


def _title_of(schema: Any) -> Any:
    return schema.get("title") if isinstance(schema, dict) else None


def _help(schema: Any, part: Schema, value: Any, is_required: bool) -> str:
    """What the schema says of the property, and what a person should know of leaving it out."""
    outer = schema.get("description") if isinstance(schema, dict) else None
    said: Sequence[str] = [_words(outer or part.get("description"), 500)]
    if not is_required and value is MISSING:
        said = [*said, _("Optional.")]
    return " ".join(filter(None, said))


def _words(text: Any, length: int) -> str:
    return visible_text(text)[:length].strip() if isinstance(text, str) else ""


def _text_area(rows: int) -> forms.Textarea:
    return forms.Textarea({"rows": rows, "spellcheck": "false", "dir": "auto"})
