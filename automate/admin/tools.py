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

from automate.models import MCPTool, MCPToolQuerySet, ToolRule
from automate.reviewing import Decision, decide

from .panels import PanelledAdmin, tool_panels
from .policy import default_in_words, rules_beside, warn_of_permission
from .rules import RuleInline

if TYPE_CHECKING:
    Form = ModelForm[MCPTool]
else:
    Form = ModelForm


@admin.register(MCPTool)
class MCPToolAdmin(PanelledAdmin):
    """Tools come from a sync and are never typed in; the switch and the policy are the operator's.

    Switching a tool on approves nothing: that is a reviewer's word on what was shown.
    """

    panels = tool_panels
    inlines = (RuleInline,)
    list_display = ("name", "title", "server", "enabled", "status", "by_default")
    list_editable = ("enabled",)
    list_filter = ("server", "enabled", "available", "review", "effect", "needs_second_person")
    list_select_related = ("server",)
    search_fields = ("name", "title", "function_name", "description")
    actions = (
        *("approve", "enable", "disable", "ask_first", "allow"),
        *("mark_as_reading", "mark_as_writing", "leave_effect_to_server"),
    )
    _POLICY = ("effect", "needs_second_person", "required_permission")
    readonly_fields = (
        "status",
        "by_default",
        "rules_beside",
        "server",
        "name",
        "function_name",
        "title",
        "description",
        "input_schema_shown",
        "output_schema_shown",
        "annotations_shown",
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
            _("Who may call it"),
            {
                "description": _("No sync changes this. Rules for this tool follow below."),
                "fields": ("by_default", *_POLICY, "rules_beside"),
            },
        ),
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

    @admin.display(description=_("by default"))
    def by_default(self, tool: MCPTool) -> str:
        return default_in_words(tool)

    @admin.display(description=_("other rules that concern it"))
    def rules_beside(self, tool: MCPTool) -> str:
        return rules_beside(tool, self.admin_site.name)

    @admin.display(description=_("input schema"))
    def input_schema_shown(self, tool: MCPTool) -> str:
        return _pretty(tool.input_schema)

    @admin.display(description=_("output schema"))
    def output_schema_shown(self, tool: MCPTool) -> str:
        return _pretty(tool.output_schema)

    @admin.display(description=_("annotations"))
    def annotations_shown(self, tool: MCPTool) -> str:
        return _pretty(tool.annotations)

    @admin.action(description=_("Approve selected tools"), permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        shown = dict(_rows(queryset).awaiting_review().values_list("pk", "version"))
        count = len(decide(shown, Decision.APPROVED, request.user).tools)
        words = ngettext("%d tool approved.", "%d tools approved.", count) % count
        self.message_user(request, words, messages.SUCCESS)

    @admin.action(description=_("Enable selected tools"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        rows = _rows(queryset)
        count = rows.enable()
        words = ngettext("%d tool enabled.", "%d tools enabled.", count) % count
        self.message_user(request, words, messages.SUCCESS)
        if waiting := rows.awaiting_review().count():
            words = ngettext(
                "%d of them waits for approval.",
                "%d of them wait for approval.",
                waiting,
            )
            self.message_user(request, words % waiting, messages.WARNING)

    @admin.action(description=_("Disable selected tools"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        count = _rows(queryset).disable()
        words = ngettext("%d tool disabled.", "%d tools disabled.", count) % count
        self.message_user(request, words, messages.SUCCESS)

    @admin.action(description=_("Ask before each call"), permissions=["rule"])
    def ask_first(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        self._decide(request, queryset, ToolRule.Decision.ASK)

    @admin.action(description=_("Allow without asking"), permissions=["rule"])
    def allow(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        self._decide(request, queryset, ToolRule.Decision.ALLOW)

    @admin.action(description=_("Mark as: only reads"), permissions=["change"])
    def mark_as_reading(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        self._mark(request, queryset, MCPTool.Effect.READ_ONLY)

    @admin.action(description=_("Mark as: changes something"), permissions=["change"])
    def mark_as_writing(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        self._mark(request, queryset, MCPTool.Effect.WRITE)

    @admin.action(description=_("Mark as: does what its server says"), permissions=["change"])
    def leave_effect_to_server(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        self._mark(request, queryset, MCPTool.Effect.UNSAID)

    def has_rule_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms(("automate.add_toolrule", "automate.delete_toolrule"))

    def _decide(
        self, request: HttpRequest, queryset: QuerySet[MCPTool], decision: ToolRule.Decision
    ) -> None:
        tools = list(queryset)
        count = ToolRule.objects.decide_for_everybody(tools, decision)
        words = ngettext(
            "%d tool has its rule for everybody.", "%d tools have their rule for everybody.", count
        )
        self.message_user(request, words % count, messages.SUCCESS)
        if ToolRule.objects.stricter_than(decision, tools).exists():
            self.message_user(
                request,
                _("Other rules are stricter for some of them, or for some people, and win."),
                messages.WARNING,
            )

    def _mark(
        self, request: HttpRequest, queryset: QuerySet[MCPTool], effect: MCPTool.Effect
    ) -> None:
        count = _rows(queryset).update(effect=effect)
        words = ngettext("%d tool marked.", "%d tools marked.", count) % count
        self.message_user(request, words, messages.SUCCESS)

    def save_model(self, request: HttpRequest, obj: MCPTool, form: Form, change: bool) -> None:
        """Write what is the operator's and nothing else, so that a sync meanwhile loses nothing."""
        tool = MCPTool.objects.filter(pk=obj.pk)
        if "enabled" in form.changed_data:
            tool.enable() if obj.enabled else tool.disable()
        if said := {name: getattr(obj, name) for name in self._POLICY if name in form.changed_data}:
            tool.update(**said)
        warn_of_permission(self, request, form)

    def response_change(self, request: HttpRequest, obj: MCPTool) -> HttpResponse:
        if "_approve" in request.POST:
            self._approve_as_seen(request, obj)
        return super().response_change(request, obj)

    def _approve_as_seen(self, request: HttpRequest, tool: MCPTool) -> None:
        """Approve the definition that the page showed, and no later one."""
        seen = request.POST.get("_seen_version", "")
        shown = {tool.pk: int(seen) if seen.isdecimal() else 0}
        if decide(shown, Decision.APPROVED, request.user).tools:
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
    if tool.review == MCPTool.Review.REJECTED:
        return gettext("Rejected: stopped until it changes.")
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
