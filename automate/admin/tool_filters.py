"""The filters of the list of tools that are no single column."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from automate.models import MCPTool
from automate.models.reviews import WAITING


class WaitingFilter(admin.SimpleListFilter):
    """Tools that wait for somebody to look at them, and those that somebody refused."""

    title = _("awaiting review")
    parameter_name = "waiting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [("yes", _("Awaiting review")), *MCPTool.Review.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> QuerySet[MCPTool]:
        value = self.value()
        if value == "yes":
            return queryset.filter(available=True, review__in=WAITING)
        return queryset.filter(review=value) if value in MCPTool.Review.values else queryset


class RiskFilter(admin.SimpleListFilter):
    """Tools by what they do: by the operator's word, and else by their server's."""

    title = _("risk")
    parameter_name = "risk"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return MCPTool.Risk.choices

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value not in MCPTool.Risk.values:
            return queryset
        return queryset.filter(pk__in=MCPTool.objects.of_risk(value).order_by().values("pk"))
