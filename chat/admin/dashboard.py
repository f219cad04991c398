"""The admin's one page on how the site does: servers, tools, approvals, turns, use and cost."""

from collections import Counter
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext

from automate.admin.health import Health, server_health
from automate.admin.panels import Level, server_panels
from automate.models import MCPServer
from chat import overview
from chat.charts import bars
from chat.models import DailyUsage, Dashboard
from chat.tool_usage import USAGE_DAYS

from .base import ReadOnlyAdmin


@admin.register(Dashboard)
class DashboardAdmin(ReadOnlyAdmin):
    """A page in place of a list. Who sees it, sees no names of people without a right to them."""

    def get_urls(self) -> list[URLPattern]:
        """Its one page: the rows behind it are for those who may see the audit."""
        view = self.admin_site.admin_view(self.changelist_view)
        return [path("", view, name="automate_chat_dashboard_changelist")]

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("automate_chat.view_dashboard")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        servers = _servers()
        may_see_people = request.user.has_perm(f"automate_chat.view_{DailyUsage._meta.model_name}")
        days = overview.usage_by_day()
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Dashboard"),
            "opts": Dashboard._meta,
            "counts": Counter(_word(health) for _server, health in servers),
            "ill": [pair for pair in servers if pair[1].level in (Level.BAD, Level.DOUBTFUL)],
            "server_count": len(servers),
            "work": overview.work(),
            "calls": overview.calls(),
            "call_days": overview.CALL_DAYS,
            "most_calls": overview.MOST_CALLS,
            "chart": bars([(day.day, day.tokens, 0) for day in days]),
            "tokens": sum(day.tokens for day in days),
            "cost": sum(day.cost for day in days),
            "days": days[::-1],
            "people": overview.usage_by_person() if may_see_people else None,
            "usage_days": USAGE_DAYS,
        }
        return TemplateResponse(request, "admin/automate_chat/dashboard.html", context)


def _servers() -> list[tuple[MCPServer, Health]]:
    """Every server with its health, those that fail first: two queries."""
    servers = list(MCPServer.objects.order_by("name"))
    facts = server_panels.facts_of(servers)
    found = [
        (server, server_health(server, each)) for server, each in zip(servers, facts, strict=True)
    ]
    return sorted(found, key=lambda pair: -1 if pair[1].level is None else pair[1].level)[::-1]


def _word(health: Health) -> str:
    if not health.enabled:
        return "off"
    return "unknown" if health.level is None else health.level.name.lower()
