"""What people used, day by day."""

from typing import Any

from django.contrib import admin
from django.db.models import F, Model
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from chat.models import DailyUsage

from .base import USERNAME, ReadOnlyAdmin


@admin.register(DailyUsage)
class DailyUsageAdmin(ReadOnlyAdmin):
    """What each person used on each day, with the totals of all that is listed."""

    change_list_template = "admin/automate_chat/dailyusage/change_list.html"
    list_display = ("day", "user", "prompt_tokens", "completion_tokens", "tokens", "cost")
    list_filter = ("day",)
    list_select_related = ("user",)
    search_fields = (f"user__{USERNAME}",)
    date_hierarchy = "day"

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody's words are in here, so Django's own permission is enough."""
        return request.user.has_perm("automate_chat.view_dailyusage")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None) or {}
        if "cl" in context:
            context["totals"] = context["cl"].queryset.order_by().totals()
        return response

    @admin.display(description=_("tokens"), ordering=F("prompt_tokens") + F("completion_tokens"))
    def tokens(self, usage: DailyUsage) -> str:
        return f"{usage.tokens:,}"
