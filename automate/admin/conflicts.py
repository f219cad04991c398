"""Two people who edit the same row: the second is told what the first changed, and loses nothing.

A form carries fingerprints of the values that it was opened with. Where one is not that of the row
any more, and not of what was typed either, saving is refused, once.
"""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.core.exceptions import NON_FIELD_ERRORS, FieldDoesNotExist, ValidationError
from django.db import connections, router
from django.db.models import Field, Model
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext

from . import base

if TYPE_CHECKING:
    ModelAdmin = base.ModelAdmin[Any]
    Form = ModelForm[Any]
else:
    ModelAdmin, Form = base.ModelAdmin, ModelForm

OPENED = "_opened"
"""The hidden input with the fingerprints; what comes without it is saved as it is."""

_INLINE = "inline "
Fingerprints = dict[str, str]


class ConflictAdmin(ModelAdmin):
    """An admin that refuses to save over what somebody else saved since the form was opened.

    `secret_fields` are told to have changed, and never what to.
    """

    secret_fields: tuple[str, ...] = ()

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """The row; locked where it is to be saved: two who save go one after the other."""
        row = super().get_object(request, object_id, from_field)
        using = router.db_for_write(self.model)
        if row is None or request.method != "POST" or not connections[using].in_atomic_block:
            return row
        same = self.model._default_manager.using(using).filter(pk=row.pk).order_by()
        list(same.select_for_update().values_list("pk"))
        return super().get_object(request, object_id, from_field)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        if obj is None or not change:
            return form
        match, is_sent = request.resolver_match, request.method == "POST"
        now = self._fingerprints(request, obj, form)
        known = {
            # Another page may use the form to try something, and saves nothing.
            "may_conflict": match is not None and str(match.url_name).endswith("_change"),
            "fingerprints_now": now,
            "fingerprints_opened": _parsed(request.POST.get(OPENED, "")) if is_sent else now,
            "who_saved": _who_saved(request, obj),
            "secret_fields": self.secret_fields,
        }
        return type(form)(form.__name__, (_CheckedForm, form), known)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        form = context["adminform"].form
        if isinstance(form, _CheckedForm):
            context["opened"] = OPENED, json.dumps(form.fingerprints_told)
        shown: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return shown

    def _fingerprints(self, request: HttpRequest, obj: Model, form: Any) -> Fingerprints:
        """Of every field that the form has, and of each kind of rows below it as a whole."""
        found = {
            field.name: _fingerprint(field.name, field.value_from_object(obj))
            for field in _fields(self.model, form.base_fields)
        }
        for inline in self.get_inline_instances(request, obj):
            formset: Any = inline.get_formset(request, obj)
            fields = list(_fields(inline.model, formset.form.base_fields))
            rows = inline.get_queryset(request).filter(**{formset.fk.name: obj}).order_by("pk")
            values = [[row.pk, *(field.value_from_object(row) for field in fields)] for row in rows]
            name = str(inline.verbose_name_plural)
            found[_INLINE + name] = _fingerprint(name, values)
        return found


class _CheckedForm(Form):
    """A form that knows what its row was when it was opened, and what it is now."""

    may_conflict: bool
    fingerprints_now: Fingerprints
    fingerprints_opened: Fingerprints
    secret_fields: tuple[str, ...]
    who_saved: str

    @property
    def fingerprints_told(self) -> Fingerprints:
        """Of what the person knows: what was when the form was opened, or what was told since."""
        was_told = self.has_error(NON_FIELD_ERRORS, "conflict")
        return self.fingerprints_now if was_told else self.fingerprints_opened

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        theirs = [name for name in self.fingerprints_now if self._is_theirs(name, data)]
        if not theirs or not self.may_conflict:
            return data
        told = []
        for name in theirs:
            if name.startswith(_INLINE):
                told.append(name.removeprefix(_INLINE))
                continue
            words = gettext("Changed meanwhile: it is “%(value)s” now.")
            if name in self.secret_fields:
                words = gettext("Changed meanwhile; what it is now is not shown.")
            self.add_error(name, words % {"value": self._shown(name)})
            told.append(str(self.fields[name].label))
        words = gettext(
            "Not saved: %(who)s saved this after you had opened it, and changed %(what)s. What you "
            "typed is still here; save again to put it in the place of that."
        )
        words %= {"who": self.who_saved, "what": ", ".join(told)}
        self.add_error(None, ValidationError(words, code="conflict"))
        return data

    def _is_theirs(self, name: str, data: Mapping[str, Any]) -> bool:
        """Whether somebody else changed this to something else than what was typed here."""
        now, opened = self.fingerprints_now[name], self.fingerprints_opened.get(name)
        if opened is None or opened == now:
            return False
        typed = data.get(name)
        typed = typed.pk if isinstance(typed, Model) else typed
        return name.startswith(_INLINE) or _fingerprint(name, typed) != now

    def _shown(self, name: str) -> str:
        """What the row says now, as people read it."""
        display = getattr(self.instance, f"get_{name}_display", None)
        value = display() if display is not None else getattr(self.instance, name)
        if isinstance(value, bool):
            return gettext("yes") if value else gettext("no")
        text = (
            json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value or "")
        )
        return text if len(text) <= 200 else f"{text[:199]}…"


def _fields(model: type[Model], names: Mapping[str, Any]) -> "Iterator[Field[Any, Any]]":
    """Those of the names that are a column of the model."""
    for name in names:
        try:
            field = model._meta.get_field(name)
        except FieldDoesNotExist:
            continue
        if isinstance(field, Field):
            yield field


def _fingerprint(name: str, value: Any) -> str:
    """What tells values apart and gives none away, be it a secret that is easy to guess."""
    text = json.dumps([name, value], sort_keys=True, default=str)
    return salted_hmac("automate.conflicts", text, algorithm="sha256").hexdigest()[:16]


def _parsed(text: str) -> Fingerprints:
    """The fingerprints that a page carried; none where it carried rubbish."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _who_saved(request: HttpRequest, obj: Model) -> str:
    """Who saved the row last, as far as the admin has noted it."""
    if request.method != "POST":
        return ""
    noted = LogEntry.objects.filter(
        content_type=get_content_type_for_model(obj), object_id=str(obj.pk)
    )
    last = noted.order_by("-action_time", "-pk").select_related("user").first()
    if last is None or last.user_id == request.user.pk:
        return gettext("somebody")
    return str(last.user)
