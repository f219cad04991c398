"""The admin of tools: what a server offers, and what of it a chat may use."""

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from automate.models import MCPTool, MCPToolVersion

from .conflicts import ConflictAdmin
from .panels import PanelledAdmin, tool_panels
from .policy import default_in_words, risk_in_words, rules_beside, warn_of_permission
from .reviews import ReviewAdmin
from .rules import RuleInline
from .schema_tree import schema_shown
from .showing import json_shown, visible
from .tool_actions import ToolActions
from .tool_filters import RiskFilter, WaitingFilter
from .versions import differences_shown, versions_shown

if TYPE_CHECKING:
    Form = ModelForm[MCPTool]
else:
    Form = ModelForm


@admin.register(MCPTool)
class MCPToolAdmin(ToolActions, ReviewAdmin, ConflictAdmin, PanelledAdmin):
    """Tools come from a sync and are never typed in; the switch and the policy are the operator's.

    Switching a tool on approves nothing: that is a reviewer's word on what was shown. The list has
    no fields to type into: it would be saved as it was opened, whatever has happened since.
    """

    panels = tool_panels
    inlines = (RuleInline,)
    change_list_template = "admin/automate/mcptool/change_list.html"
    list_display = ("name", "title", "server", "enabled", "status", "risk_in_words", "by_default")
    list_filter = (
        *("server", "enabled", WaitingFilter, RiskFilter),
        *("available", "effect", "needs_second_person"),
    )
    list_select_related = ("server",)
    search_fields = ("name", "title", "function_name", "description")
    _POLICY = ("effect", "needs_second_person", "required_permission")
    _DEFINITION = (
        *("title", "description_shown", "input_schema_shown", "output_schema_shown"),
        "annotations_shown",
    )
    _STATE = ("available", "schema_error", "version", "first_seen", "changed_at")
    readonly_fields = (
        *("status", "waiting", "by_default", "rules_beside", "server", "name", "function_name"),
        *(*_DEFINITION, *_STATE, "versions"),
    )

    def get_fieldsets(self, request: HttpRequest, obj: MCPTool | None = None) -> Any:
        waiting = () if obj is None or obj.review == obj.Review.APPROVED else ("waiting",)
        return (
            (None, {"fields": ("status", *waiting, "enabled", "server", "name", "function_name")}),
            (
                _("Who may call it"),
                {
                    "description": _(
                        "No sync changes this. Rules for this tool follow below; those that decide "
                        "“Only these” say which groups and people may call it at all."
                    ),
                    "fields": ("by_default", *self._POLICY, "rules_beside"),
                },
            ),
            (
                _("Definition"),
                {
                    "description": _("As the server last described it; only a sync changes it."),
                    "fields": self._DEFINITION,
                },
            ),
            (_("State"), {"fields": self._STATE}),
            (_("Versions"), {"fields": ("versions",)}),
        )

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["automate/admin.css", "automate/review.css"]}

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

    @admin.display(description=_("what it does"))
    def risk_in_words(self, tool: MCPTool) -> str:
        return risk_in_words(tool)

    @admin.display(description=_("review"))
    def waiting(self, tool: MCPTool) -> str:
        approved = MCPToolVersion.objects.approved_of([tool]).first()
        link = format_html(
            '<p><a href="{}">{}</a></p>',
            self.review_address(f"tools={tool.pk}"),
            _("Approve or reject it"),
        )
        return link + (differences_shown(approved, tool) if approved else "")

    @admin.display(description=_("versions"))
    def versions(self, tool: MCPTool) -> str:
        return versions_shown(tool, self.admin_site.name)

    @admin.display(description=_("description"))
    def description_shown(self, tool: MCPTool) -> str:
        return format_html('<p class="automate-said" dir="auto">{}</p>', visible(tool.description))

    @admin.display(description=_("input schema"))
    def input_schema_shown(self, tool: MCPTool) -> str:
        return schema_shown(tool.input_schema)

    @admin.display(description=_("output schema"))
    def output_schema_shown(self, tool: MCPTool) -> str:
        return schema_shown(tool.output_schema)

    @admin.display(description=_("annotations"))
    def annotations_shown(self, tool: MCPTool) -> str:
        return json_shown(tool.annotations) if tool.annotations else "–"

    def save_model(self, request: HttpRequest, obj: MCPTool, form: Form, change: bool) -> None:
        """Write what is the operator's and nothing else, so that a sync meanwhile loses nothing."""
        tool = MCPTool.objects.filter(pk=obj.pk)
        if "enabled" in form.changed_data:
            tool.enable() if obj.enabled else tool.disable()
        if said := {name: getattr(obj, name) for name in self._POLICY if name in form.changed_data}:
            tool.update(**said)
        warn_of_permission(self, request, form)


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
