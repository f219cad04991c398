"""The admin of rules on who may call which tools: a list of all, and those of a tool or server."""

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import JSONField, Textarea
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from automate.models import ToolRule

from . import base
from .conflicts import ConflictAdmin

if TYPE_CHECKING:
    Inline = base.StackedInline[ToolRule, Any]
    Options = admin.options.BaseModelAdmin[ToolRule]
else:
    Inline, Options = base.StackedInline, object


class SchemaField(JSONField):
    """Shows a schema over several lines, and nothing where there is none."""

    def to_python(self, value: Any) -> Any:
        try:
            return super().to_python(value)
        except RecursionError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            return super().bound_data(data, initial)
        except RecursionError:
            return ""

    def prepare_value(self, value: Any) -> Any:
        if value is None:
            return ""
        if isinstance(value, dict | list):
            return json.dumps(value, indent=2, ensure_ascii=False)
        return super().prepare_value(value)


class PersonFields(Options):
    """Searches people and groups where the site's admin knows how, else takes their keys."""

    raw_id_fields = ("user", "group")

    def get_autocomplete_fields(self, request: HttpRequest) -> Any:
        found = list(super().get_autocomplete_fields(request))
        for name in self.raw_id_fields:
            related: Any = ToolRule._meta.get_field(name).related_model
            registered = self.admin_site._registry.get(related)
            if registered is not None and registered.get_search_fields(request):
                found.append(name)
        return found

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "argument_schema":
            widget = Textarea({"rows": 6, "cols": 80, "spellcheck": "false"})
            kwargs |= {"form_class": SchemaField, "widget": widget}
        return super().formfield_for_dbfield(db_field, request, **kwargs)


@admin.register(ToolRule)
class ToolRuleAdmin(PersonFields, ConflictAdmin):
    list_display = ("decision", "what", "who", "limits", "note")
    list_display_links = ("decision", "what")
    list_filter = (
        "decision",
        "server",
        ("tool__server", admin.RelatedOnlyFieldListFilter),
        "group",
    )
    list_select_related = ("server", "tool__server", "group", "user")
    search_fields = ("tool__name", "tool__title", "server__name", "group__name", "note")
    autocomplete_fields = ("server", "tool")
    fieldsets = (
        (None, {"fields": ("decision",)}),
        (
            _("Which calls"),
            {
                "description": _("Of a server's tools, of one tool, or, with neither, of all."),
                "fields": ("server", "tool", "argument_schema"),
            },
        ),
        (
            _("Whose calls"),
            {
                "description": _("A group's, one person's, or, with neither, everybody's."),
                "fields": ("group", "user"),
            },
        ),
        (None, {"fields": ("note",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ToolRule]:
        return super().get_queryset(request).order_by("server__name", "tool__function_name", "pk")

    @admin.display(description=_("calls of"))
    def what(self, rule: ToolRule) -> str:
        if rule.tool is not None:
            return f"{rule.tool.server}: {rule.tool}"
        if rule.server is not None:
            return gettext("%(server)s: all tools") % {"server": rule.server}
        return gettext("all tools")

    @admin.display(description=_("by"))
    def who(self, rule: ToolRule) -> str:
        if rule.user is not None:
            return str(rule.user)
        if rule.group is not None:
            return gettext("group %(group)s") % {"group": rule.group}
        return gettext("everybody")

    @admin.display(description=_("only for arguments that fit"))
    def limits(self, rule: ToolRule) -> str:
        if rule.argument_schema is None:
            return "-"
        shown = json.dumps(rule.argument_schema, ensure_ascii=False)
        return format_html("<code>{}</code>", shown if len(shown) <= 120 else f"{shown[:119]}…")


class RuleInline(PersonFields, Inline):
    """The rules of one tool, or of one server as a whole, on its page."""

    model = ToolRule
    extra = 0
    fields = ("decision", ("group", "user"), "argument_schema", "note")
    verbose_name_plural = _("rules on who may call it")
