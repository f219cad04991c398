"""The audit: who asked what, which tools ran with which outcome, and what was used.

Nothing here can be changed.
"""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Count, F, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from .models import Approval, Conversation, DailyUsage, Question, ToolCall, ToolGrant, Turn
from .rendering import visible_text
from .schema_fields import json_text

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin

MAX_SHOWN_CHARACTERS = 20_000
_USERNAME = get_user_model().USERNAME_FIELD


class ReadOnlyAdmin(ModelAdmin):
    """Rows to look at. People's words are private, so only a superuser may."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only along with their person, whom the admin could otherwise not delete."""
        match = request.resolver_match
        is_own_page = match is not None and str(match.url_name).startswith("automate_chat_")
        return not is_own_page and _is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _is_superuser(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    list_display = ("title", "user", "turn_count", "created_at", "updated_at")
    list_select_related = ("user",)
    search_fields = ("title", f"user__{_USERNAME}")
    date_hierarchy = "updated_at"
    fields = ("user", "title", "created_at", "updated_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        return Conversation.objects.annotate(turn_count=Count("turns"))

    @admin.display(description=_("turns"), ordering="turn_count")
    def turn_count(self, conversation: Any) -> int:
        return int(conversation.turn_count)


@admin.register(Turn)
class TurnAdmin(ReadOnlyAdmin):
    list_display = (
        *("created_at", "conversation", "user", "status", "model", "rounds"),
        *("prompt_tokens", "completion_tokens", "cost"),
    )
    list_filter = ("status", "model")
    list_select_related = ("conversation__user",)
    search_fields = ("=id", "conversation__title", f"conversation__user__{_USERNAME}")
    date_hierarchy = "created_at"
    exclude = ("lease_owner", "lease_until")

    @admin.display(description=_("user"), ordering="conversation__user")
    def user(self, turn: Turn) -> str:
        return str(turn.conversation.user)


@admin.register(ToolCall)
class ToolCallAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "server_name", "function_name", "user", "status", "duration")
    list_filter = ("status", "server_name")
    list_select_related = ("turn__conversation__user",)
    search_fields = ("function_name", "call_id", f"turn__conversation__user__{_USERNAME}")
    date_hierarchy = "created_at"
    fields = (
        *("turn", "user", "server_name", "tool", "tool_version", "function_name", "call_id"),
        *("status", "error", "shown_arguments", "shown_result"),
        *("created_at", "started_at", "finished_at", "duration"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ToolCall]:
        return super().get_queryset(request).defer("result")

    @admin.display(description=_("user"), ordering="turn__conversation__user")
    def user(self, call: ToolCall) -> str:
        return str(call.turn.conversation.user)

    @admin.display(description=_("seconds"))
    def duration(self, call: ToolCall) -> str:
        return "" if call.seconds is None else f"{call.seconds:.3f}"

    @admin.display(description=_("arguments as written"))
    def shown_arguments(self, call: ToolCall) -> str:
        return _preformatted(call.arguments_text)

    @admin.display(description=_("result for the model"))
    def shown_result(self, call: ToolCall) -> str:
        return _preformatted(call.result_text)


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    list_display = (
        *("created_at", "user", "call_name", "status", "scope", "needs_second_person"),
        *("decided_by", "decided_at"),
    )
    list_filter = ("status", "scope", "needs_second_person")
    list_select_related = ("user", "decided_by", "call")
    search_fields = ("call__function_name", f"user__{_USERNAME}", f"decided_by__{_USERNAME}")
    date_hierarchy = "created_at"
    fields = (
        *("call", "user", "tool", "why", "needs_second_person", "status", "scope", "decided_by"),
        *("decided_at", "reason", "shown_arguments", "shown_original", "arguments_hash"),
        *("definition_hash", "created_at", "expires_at"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Approval]:
        return super().get_queryset(request).defer("call__result")

    @admin.display(description=_("call"), ordering="call__function_name")
    def call_name(self, approval: Approval) -> str:
        return visible_text(approval.call.function_name)

    @admin.display(description=_("arguments"))
    def shown_arguments(self, approval: Approval) -> str:
        return _preformatted(json_text(approval.call.arguments))

    @admin.display(description=_("original arguments"))
    def shown_original(self, approval: Approval) -> str:
        if approval.original_arguments is None:
            return ""
        return _preformatted(json_text(approval.original_arguments))


@admin.register(ToolGrant)
class ToolGrantAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "user", "tool", "conversation", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "tool__server")
    list_select_related = ("user", "tool", "conversation")
    search_fields = ("tool__name", f"user__{_USERNAME}")
    date_hierarchy = "created_at"
    fields = (
        *("user", "tool", "definition_hash", "conversation", "approval"),
        *("created_at", "revoked_at"),
    )


@admin.register(Question)
class QuestionAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "call_name", "mode", "status", "answered_by", "answered_at")
    list_filter = ("status", "mode", "call__server_name")
    list_select_related = ("call", "answered_by")
    search_fields = ("call__function_name", f"answered_by__{_USERNAME}")
    date_hierarchy = "created_at"
    fields = (
        *("call", "round", "key", "mode", "shown_message", "shown_schema", "url", "status"),
        *("shown_content", "answered_by", "answered_at", "created_at", "expires_at"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Question]:
        return super().get_queryset(request).defer("call__result")

    @admin.display(description=_("call"), ordering="call__function_name")
    def call_name(self, question: Question) -> str:
        return visible_text(question.call.function_name)

    @admin.display(description=_("message"))
    def shown_message(self, question: Question) -> str:
        return _preformatted(question.message)

    @admin.display(description=_("schema"))
    def shown_schema(self, question: Question) -> str:
        return _preformatted(json_text(question.schema))

    @admin.display(description=_("answer"))
    def shown_content(self, question: Question) -> str:
        return "" if question.content is None else _preformatted(json_text(question.content))


@admin.register(DailyUsage)
class DailyUsageAdmin(ReadOnlyAdmin):
    """What each person used on each day, with the totals of all that is listed."""

    change_list_template = "admin/automate_chat/dailyusage/change_list.html"
    list_display = ("day", "user", "prompt_tokens", "completion_tokens", "tokens", "cost")
    list_filter = ("day",)
    list_select_related = ("user",)
    search_fields = (f"user__{_USERNAME}",)
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


def _preformatted(text: str) -> str:
    return format_html("<pre>{}</pre>", visible_text(text)[:MAX_SHOWN_CHARACTERS])


def _is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)
