"""The audit of tool calls: every outcome, filtered, searched and exported."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from automate.models import MCPServer
from chat.exporting import MAX_EXPORTED, as_csv, as_json
from chat.models import CallRecord, ToolCall
from chat.rendering import visible_text
from chat.schema_fields import json_text

from .base import ReadOnlyAdmin, preformatted, version_link
from .dates import date_choices
from .trials import MAY_TRY, run_again, try_tool


class ServerFilter(admin.SimpleListFilter):
    """Calls of one server's tools, without a look at every record for its name."""

    title = _("server")
    parameter_name = "server"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return [(str(key), name) for key, name in MCPServer.objects.values_list("pk", "name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = str(self.value() or "")
        return queryset.filter(tool__server=int(chosen)) if chosen.isdecimal() else queryset


@admin.register(CallRecord)
class CallRecordAdmin(ReadOnlyAdmin):
    """Looked at with Django's own permission: arguments have lost what looks secret."""

    list_display = (
        *("created_at", "user_name", "server", "name", "came_to", "milliseconds"),
        *("permission", "cost"),
    )
    list_filter = ("outcome", "permission", "origin", ServerFilter)
    search_fields = ("^tool_name", "^user_name")
    search_help_text = _("The beginning of a tool's name, or of a person's.")
    date_hierarchy = "created_at"
    change_list_template = "admin/automate_chat/callrecord/change_list.html"
    list_per_page = 50
    actions = ("export_csv", "export_json")
    fields = (
        *("created_at", "origin", "user_name", "conversation", "call", "server", "name"),
        *("version_called", "shown_arguments", "came_to", "shown_error", "milliseconds"),
        *("result_characters", "permission", "decision", "cost"),
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        may_run = obj is not None and obj.tool_id is not None and request.user.has_perm(MAY_TRY)
        return (*self.fields, "run_again") if may_run else self.fields

    @admin.display(description=_("run again"))
    def run_again(self, record: CallRecord) -> str:
        address = reverse("admin:automate_chat_callrecord_again", args=[record.pk])
        return format_html('<a class="button" href="{}">{}</a>', address, _("Run this call again"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("try/<int:tool_id>/", view(try_tool), name="automate_chat_callrecord_try"),
            path("<int:record_id>/again/", view(run_again), name="automate_chat_callrecord_again"),
        ]
        return own + super().get_urls()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None) or {}
        if "cl" in context:
            context["dates"] = date_choices(context["cl"], "created_at", request.GET)
        return response

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("automate_chat.view_callrecord")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("automate_chat.export_callrecord")

    @admin.display(description=_("tool version"))
    def version_called(self, record: CallRecord) -> str:
        return version_link(record, self.admin_site.name)

    @admin.display(description=_("server"), ordering="server_name")
    def server(self, record: CallRecord) -> str:
        return visible_text(record.server_name)

    @admin.display(description=_("tool"), ordering="tool_name")
    def name(self, record: CallRecord) -> str:
        return visible_text(record.tool_name)

    @admin.display(description=_("arguments"))
    def shown_arguments(self, record: CallRecord) -> str:
        return "" if record.arguments is None else preformatted(json_text(record.arguments))

    @admin.display(description=_("error"))
    def shown_error(self, record: CallRecord) -> str:
        return visible_text(record.error)

    @admin.display(description=_("outcome"), ordering="outcome")
    def came_to(self, record: CallRecord) -> str:
        if record.outcome == ToolCall.Status.RUNNING:
            return format_html("→ {}", _("Sent"))
        sign = _SIGNS.get(record.outcome, "○")
        return format_html("{} {}", sign, record.get_outcome_display())

    @admin.action(description=_("Export as CSV"), permissions=["export"])
    def export_csv(self, request: HttpRequest, queryset: QuerySet[CallRecord]) -> HttpResponse:
        return self._file(request, queryset, as_csv(_records(queryset)), "text/csv", "csv")

    @admin.action(description=_("Export as JSON"), permissions=["export"])
    def export_json(self, request: HttpRequest, queryset: QuerySet[CallRecord]) -> HttpResponse:
        return self._file(
            request, queryset, as_json(_records(queryset)), "application/json", "json"
        )

    def _file(
        self, request: HttpRequest, chosen: QuerySet[CallRecord], text: str, kind: str, suffix: str
    ) -> HttpResponse:
        if chosen.count() > MAX_EXPORTED:
            words = _("The file holds the latest %(most)s; narrow the list for others.")
            self.message_user(request, words % {"most": f"{MAX_EXPORTED:,}"}, messages.WARNING)
        name = f"tool-calls-{timezone.now():%Y-%m-%d-%H%M}.{suffix}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse(text, content_type=f"{kind}; charset=utf-8", headers=headers)


_SIGNS: dict[str, str] = {
    ToolCall.Status.SUCCEEDED: "✓",
    ToolCall.Status.FAILED: "✕",
    ToolCall.Status.REFUSED: "⊘",
    ToolCall.Status.UNKNOWN: "?",
}


def _records(chosen: QuerySet[CallRecord]) -> Any:
    return chosen.order_by("-created_at", "-pk")
