"""Tool calls as their conversations hold them."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from chat.models import ToolCall

from .base import USERNAME, ReadOnlyAdmin, preformatted, version_link


@admin.register(ToolCall)
class ToolCallAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "server_name", "function_name", "user", "status", "duration")
    list_filter = ("status", "server_name")
    list_select_related = ("turn__conversation__user",)
    search_fields = ("function_name", "call_id", f"turn__conversation__user__{USERNAME}")
    date_hierarchy = "created_at"
    fields = (
        *("turn", "user", "server_name", "tool", "version_called", "function_name", "call_id"),
        *("status", "error", "shown_arguments", "shown_result"),
        *("created_at", "started_at", "finished_at", "duration"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ToolCall]:
        return super().get_queryset(request).defer("result")

    @admin.display(description=_("tool version"))
    def version_called(self, call: ToolCall) -> str:
        return version_link(call, self.admin_site.name)

    @admin.display(description=_("user"), ordering="turn__conversation__user")
    def user(self, call: ToolCall) -> str:
        return str(call.turn.conversation.user)

    @admin.display(description=_("seconds"))
    def duration(self, call: ToolCall) -> str:
        return "" if call.seconds is None else f"{call.seconds:.3f}"

    @admin.display(description=_("arguments as written"))
    def shown_arguments(self, call: ToolCall) -> str:
        return preformatted(call.arguments_text)

    @admin.display(description=_("result for the model"))
    def shown_result(self, call: ToolCall) -> str:
        return preformatted(call.result_text)
