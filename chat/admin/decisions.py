"""What people decided on calls, and answered to servers."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from chat.models import Approval, Question, ToolGrant
from chat.rendering import visible_text
from chat.schema_fields import json_text

from .base import USERNAME, ReadOnlyAdmin, preformatted


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    list_display = (
        *("created_at", "user", "call_name", "status", "scope", "needs_second_person"),
        *("decided_by", "decided_at"),
    )
    list_filter = ("status", "scope", "needs_second_person")
    list_select_related = ("user", "decided_by", "call")
    search_fields = ("call__function_name", f"user__{USERNAME}", f"decided_by__{USERNAME}")
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
        return preformatted(json_text(approval.call.arguments))

    @admin.display(description=_("original arguments"))
    def shown_original(self, approval: Approval) -> str:
        if approval.original_arguments is None:
            return ""
        return preformatted(json_text(approval.original_arguments))


@admin.register(ToolGrant)
class ToolGrantAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "user", "tool", "conversation", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "tool__server")
    list_select_related = ("user", "tool", "conversation")
    search_fields = ("tool__name", f"user__{USERNAME}")
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
    search_fields = ("call__function_name", f"answered_by__{USERNAME}")
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
        return preformatted(question.message)

    @admin.display(description=_("schema"))
    def shown_schema(self, question: Question) -> str:
        return preformatted(json_text(question.schema))

    @admin.display(description=_("answer"))
    def shown_content(self, question: Question) -> str:
        return "" if question.content is None else preformatted(json_text(question.content))
