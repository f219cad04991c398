"""On a tool's page in the admin: how it is used, and how it does."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import Media
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from automate.admin.panels import Panel, tool_panels
from automate.models import MCPTool
from chat.charts import bars
from chat.models import CallRecord
from chat.tool_usage import USAGE_DAYS, failing_tools, tool_usage

MEDIA = Media(css={"all": ["chat/admin.css"]})


@tool_panels.panel
def usage_panel(request: HttpRequest, tool: MCPTool) -> Panel | None:
    """Figures and a chart; who used it last is for those alone who may see the audit."""
    usage = tool_usage(tool)
    audit = admin.site._registry.get(CallRecord)
    context = {
        "usage": usage,
        "tool": tool,
        "chart": bars([(day.day, day.calls, day.errors) for day in usage.days]),
        "days": USAGE_DAYS,
        "may_see_people": audit is not None and audit.has_view_permission(request),
    }
    body = render_to_string("admin/automate_chat/tool_usage.html", context, request)
    return Panel(gettext("Usage"), body, MEDIA)


class FailingFilter(admin.SimpleListFilter):
    """Tools of whose calls in the last day half went wrong, or more."""

    title = _("failing")
    parameter_name = "failing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [("yes", _("Half of the last day's calls, or more"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(pk__in=failing_tools()) if self.value() == "yes" else queryset


tool_panels.list_filters.append(FailingFilter)
