"""Form fields for the properties of a JSON Schema: what a browser is shown, and what it sends back.

A field that comes back as it was shown keeps the very value that it stood for, whatever the way
through a browser does to line ends or digits.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from automate_llm import strict_json
from automate_llm.exceptions import AutomateError
from automate_llm.formats import is_date_time
from automate_llm.text import escaped_hidden

from .arguments import canonical

RADIO_CHOICES = 5
"""So many options stand open; more go into a list."""


class Missing(Enum):
    MISSING = "missing"


MISSING: Literal[Missing.MISSING] = Missing.MISSING
"""In place of a value: there is none."""


class PropertyField(forms.Field):
    """One property of an object. What it is cleaned to is its value, or `MISSING` to leave it out.

    `value` is what it stands for before anybody has touched it.
    """

    def __init__(
        self,
        name: str,
        value: Any,
        widget: forms.Widget,
        *,
        is_required: bool = False,
        is_nullable: bool = False,
        **options: Any,
    ) -> None:
        self.name = name
        self.value = value
        self.is_required = is_required
        self.is_nullable = is_nullable
        no_value = value is MISSING or (value is None and is_nullable)
        shown = self.empty if no_value else self.shown(value)
        super().__init__(required=False, widget=widget, initial=shown, **options)

    @property
    def empty(self) -> Any:
        """What is shown where there is no value."""
        return ""

    def shown(self, value: Any) -> Any:
        """What a browser is given for a value."""
        return value

    def read(self, sent: Any) -> Any:
        """The value that somebody chose or typed.

        Raises:
            ValidationError: it is none.
        """
        return sent

    def clean(self, sent: Any) -> Any:
        """The value behind what a browser sent."""
        sent = self.normal(sent)
        if sent == self.normal(self.initial) and self.value is not MISSING:
            return self.value
        if sent == self.empty:
            return self.left_empty()
        return self.read(sent)

    def normal(self, sent: Any) -> Any:
        """What was sent, less what its way through a browser has changed."""
        return ("" if sent is None else str(sent)).replace("\r\n", "\n").replace("\r", "\n")

    def left_empty(self) -> Any:
        """What is meant by an empty field."""
        if not self.is_required:
            return MISSING
        if self.is_nullable:
            return None
        raise ValidationError(_("This is needed."), code="required")


class TextField(PropertyField):
    """A string. Where `empty_counts`, an empty field that is required is the empty string."""

    def __init__(self, *parts: Any, empty_counts: bool = False, **options: Any) -> None:
        self.empty_counts = empty_counts
        super().__init__(*parts, **options)

    def left_empty(self) -> Any:
        return "" if self.empty_counts and self.is_required else super().left_empty()


class NumberField(PropertyField):
    """A number, written as JSON writes it; `is_whole` for an integer."""

    def __init__(self, *parts: Any, is_whole: bool = False, **options: Any) -> None:
        self.is_whole = is_whole
        super().__init__(*parts, **options)

    def shown(self, value: Any) -> str:
        return json.dumps(value)

    def normal(self, sent: Any) -> Any:
        return str(super().normal(sent)).strip()

    def read(self, sent: Any) -> Any:
        try:
            value = strict_json.loads(sent.encode(errors="replace"))
        except AutomateError:
            value = None
        if not strict_json.storable(value):
            value = None
        if isinstance(value, float) and value.is_integer() and self.is_whole:
            return int(value)
        if type(value) is int or (type(value) is float and not self.is_whole):
            return value
        if self.is_whole:
            raise ValidationError(_("Write a whole number, such as 12."), code="number")
        raise ValidationError(_("Write a number, such as 12 or 0.5."), code="number")


class ChoiceField(PropertyField):
    """One of a few values."""

    def __init__(
        self, name: str, value: Any, values: Sequence[Any], labels: Sequence[str], **options: Any
    ) -> None:
        self.values = list(values)
        choices = [(str(index), label) for index, label in enumerate(labels)]
        is_open = len(choices) <= RADIO_CHOICES
        may_be_empty = not options.get("is_required") or options.get("is_nullable")
        if may_be_empty:
            choices = [("", _("Leave out")), *choices]
        elif not is_open:
            choices = [("", _("Choose…")), *choices]
        widget = forms.RadioSelect if is_open else forms.Select
        super().__init__(name, value, widget(choices=choices), **options)

    def shown(self, value: Any) -> str:
        found = position(self.values, value)
        return "" if found is None else str(found)

    def read(self, sent: Any) -> Any:
        return _chosen(self.values, sent)


class MultipleChoiceField(PropertyField):
    """Some of a few values, as a list in their own order."""

    def __init__(
        self, name: str, value: Any, values: Sequence[Any], labels: Sequence[str], **options: Any
    ) -> None:
        self.values = list(values)
        choices = [(str(index), label) for index, label in enumerate(labels)]
        super().__init__(name, value, forms.CheckboxSelectMultiple(choices=choices), **options)

    @property
    def empty(self) -> Any:
        return []

    def shown(self, value: Any) -> list[str]:
        return [str(position(self.values, each)) for each in value]

    def normal(self, sent: Any) -> Any:
        return sorted(set(sent or ()))

    def read(self, sent: Any) -> Any:
        chosen = [canonical(_chosen(self.values, each)) for each in sent]
        return [each for each in self.values if canonical(each) in chosen]

    def left_empty(self) -> Any:
        return MISSING if self.value is MISSING and not self.is_required else []


class DateTimeField(PropertyField):
    """A moment as RFC 3339 writes it, shown and typed on the site's clock, which has an offset."""

    def shown(self, value: Any) -> str:
        return local_moment(value) or ""

    def normal(self, sent: Any) -> Any:
        """Browsers differ in how they write no seconds and thousandths."""
        text = str(super().normal(sent)).strip()
        try:
            return _shortest(datetime.fromisoformat(text)) if text else ""
        except ValueError:
            return text

    def read(self, sent: Any) -> Any:
        try:
            moment = datetime.fromisoformat(sent.strip())
            if timezone.is_naive(moment):
                moment = timezone.make_aware(moment, timezone.get_current_timezone())
            text = moment.isoformat()
            return text if is_date_time(text) else moment.astimezone(UTC).isoformat()
        except (ValueError, OverflowError):
            raise ValidationError(
                _("Write a date and a time, such as 2026-01-31T12:00."), code="moment"
            ) from None


class JSONTextField(PropertyField):
    """Any value, written as JSON."""

    def shown(self, value: Any) -> str:
        return json_text(value)

    def normal(self, sent: Any) -> Any:
        return str(super().normal(sent)).strip()

    def read(self, sent: Any) -> Any:
        try:
            value = strict_json.loads(sent.encode(errors="replace"))
        except AutomateError:
            raise ValidationError(_("This is not valid JSON."), code="json") from None
        if not strict_json.storable(value):
            raise ValidationError(
                _("This holds a number or a character that cannot be kept."), code="json"
            )
        return value


def json_text(value: Any) -> str:
    """A value as JSON that a person can read, with nothing hidden in it."""
    return escaped_hidden(json.dumps(value, ensure_ascii=False, indent=2))


def local_moment(text: str) -> str | None:
    """A moment as `datetime-local` takes it; nothing where it cannot show it."""
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(timezone.get_current_timezone())
    except (ValueError, OverflowError):
        return None
    return _shortest(moment.replace(tzinfo=None))


def position(values: Sequence[Any], value: Any) -> int | None:
    """Which of the values it is, told apart as JSON tells them apart."""
    wanted = canonical(value)
    return next((n for n, each in enumerate(values) if canonical(each) == wanted), None)


def _shortest(moment: datetime) -> str:
    if timezone.is_aware(moment):
        return moment.isoformat()
    text = moment.isoformat(timespec="milliseconds")
    return text.removesuffix(".000").removesuffix(":00")


def _chosen(values: Sequence[Any], sent: str) -> Any:
    if sent.isascii() and sent.isdigit() and len(sent) < 5 and int(sent) < len(values):
        return values[int(sent)]
    raise ValidationError(_("Choose one of the options."), code="choice")
