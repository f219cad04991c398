"""The admin of tools: what a server offers, and what of it a chat may use."""

import json
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from automate.models import MCPTool, MCPToolQuerySet

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[MCPTool]
    Form = ModelForm[MCPTool]
else:
    ModelAdmin, Form = admin.ModelAdmin, ModelForm


@admin.register(MCPTool)
class MCPToolAdmin(ModelAdmin):
    """Tools come from a sync and are never typed in; only the switch is the operator's.

    Switching a new tool on approves it, since somebody has then looked at it. A changed tool
    needs its approval apart, because its switch was on all the time.
    """

    list_display = ("name", "title", "server", "enabled", "status", "version", "changed_at")
    list_editable = ("enabled",)
    list_filter = ("server", "enabled", "available", "review")
    list_select_related = ("server",)
    search_fields = ("name", "title", "function_name", "description")
    actions = ("approve", "enable", "disable")
    readonly_fields = (
        "status",
        "server",
        "name",
        "function_name",
        "title",
        "description",
        "input_schema_shown",
        "output_schema_shown",
        "annotations_shown",
        "approved_definition_shown",
        "available",
        "review",
        "schema_error",
        "version",
        "first_seen",
        "changed_at",
    )
    fieldsets = (
        (None, {"fields": ("status", "enabled", "server", "name", "function_name")}),
        (
            _("Definition"),
            {
                "description": _("As the server last described it; only a sync changes it."),
                "fields": (
                    "title",
                    "description",
                    "input_schema_shown",
                    "output_schema_shown",
                    "annotations_shown",
                    "approved_definition_shown",
                ),
            },
        ),
        (
            _("State"),
            {
                "fields": (
                    "available",
                    "review",
                    "schema_error",
                    "version",
                    "first_seen",
                    "changed_at",
                )
            },
        ),
    )

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["automate/admin.css"]}

    def has_add_permission(self, request: HttpRequest, obj: MCPTool | None = None) -> bool:
        return False

    @admin.display(description=_("status"))
    def status(self, tool: MCPTool) -> str:
        return tool_status(tool)

    @admin.display(description=_("input schema"))
    def input_schema_shown(self, tool: MCPTool) -> str:
        return _pretty(tool.input_schema)

    @admin.display(description=_("output schema"))
    def output_schema_shown(self, tool: MCPTool) -> str:
        return _pretty(tool.output_schema)

    @admin.display(description=_("annotations"))
    def annotations_shown(self, tool: MCPTool) -> str:
        return _pretty(tool.annotations)

    @admin.display(description=_("approved before"))
    def approved_definition_shown(self, tool: MCPTool) -> str:
        return _pretty(tool.approved_definition)

    @admin.action(description=_("Approve selected tools"), permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        count = _rows(queryset).approve()
        words = ngettext("%d tool approved.", "%d tools approved.", count) % count
        self.message_user(request, words, messages.SUCCESS)

    @admin.action(
        description=_("Enable selected tools (approves new ones)"), permissions=["change"]
    )
    def enable(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        rows = _rows(queryset)
        count = rows.enable()
        words = ngettext("%d tool enabled.", "%d tools enabled.", count) % count
        self.message_user(request, words, messages.SUCCESS)
        if waiting := rows.awaiting_review().count():
            words = ngettext(
                "%d of them has changed and waits for approval.",
                "%d of them have changed and wait for approval.",
                waiting,
            )
            self.message_user(request, words % waiting, messages.WARNING)

    @admin.action(description=_("Disable selected tools"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        count = _rows(queryset).disable()
        words = ngettext("%d tool disabled.", "%d tools disabled.", count) % count
        self.message_user(request, words, messages.SUCCESS)

    def save_model(self, request: HttpRequest, obj: MCPTool, form: Form, change: bool) -> None:
        """Turn the switch and nothing else, so that a sync at the same time loses nothing."""
        if "enabled" in form.changed_data:
            tool = MCPTool.objects.filter(pk=obj.pk)
            tool.enable() if obj.enabled else tool.disable()

    def response_change(self, request: HttpRequest, obj: MCPTool) -> HttpResponse:
        if "_approve" in request.POST:
            self._approve_as_seen(request, obj)
        return super().response_change(request, obj)

    def _approve_as_seen(self, request: HttpRequest, tool: MCPTool) -> None:
        """Approve the definition that the page showed, and no later one."""
        seen = request.POST.get("_seen_version", "")
        shown = MCPTool.objects.filter(pk=tool.pk, version=int(seen) if seen.isdecimal() else 0)
        if shown.approve():
            self.message_user(request, _("The definition is approved."), messages.SUCCESS)
        else:
            self.message_user(
                request,
                _("Not approved: the definition has changed since this page was opened."),
                messages.ERROR,
            )


def tool_status(tool: MCPTool) -> str:
    """In words, whether a chat may call the tool, and what stands in its way."""
    if not tool.available:
        return gettext("Gone: its server no longer lists it.")
    if tool.review == MCPTool.Review.NEW:
        return gettext("New: approve it to use it.")
    if tool.review == MCPTool.Review.CHANGED:
        return gettext("Changed: stopped until it is approved.")
    if tool.schema_error:
        return gettext("Its schema cannot be used: %(error)s") % {"error": tool.schema_error}
    if not tool.enabled:
        return gettext("Off.")
    if not tool.server.enabled:
        return gettext("Its server is off.")
    return gettext("Ready.")


def _rows(queryset: QuerySet[MCPTool]) -> MCPToolQuerySet:
    """The chosen rows by their keys: what the list filtered by may change with them."""
    return MCPTool.objects.filter(pk__in=[tool.pk for tool in queryset])


def _pretty(value: Any) -> str:
    if value in (None, {}):
        return "-"
    return format_html(
        '<pre class="automate-json">{}</pre>',
        json.dumps(value, indent=2, ensure_ascii=False),
    )
