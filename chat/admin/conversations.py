"""Conversations and the turns in them."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from chat.models import Conversation, Share, Turn

from .base import USERNAME, ReadOnlyAdmin


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    list_display = ("title", "user", "turn_count", "created_at", "updated_at", "deleted_at")
    list_filter = (("deleted_at", admin.EmptyFieldListFilter),)
    list_select_related = ("user",)
    search_fields = ("title", f"user__{USERNAME}")
    date_hierarchy = "updated_at"
    fields = (
        *("user", "title", "titled_at", "created_at", "updated_at"),
        *("pinned_at", "archived_at", "deleted_at"),
    )

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
    search_fields = ("=id", "conversation__title", f"conversation__user__{USERNAME}")
    date_hierarchy = "created_at"
    exclude = ("lease_owner", "lease_until")

    @admin.display(description=_("user"), ordering="conversation__user")
    def user(self, turn: Turn) -> str:
        return str(turn.conversation.user)


@admin.register(Share)
class ShareAdmin(ReadOnlyAdmin):
    """Who showed what to whoever has a link; the links themselves are not shown."""

    list_display = ("title", "user", "with_calls", "with_files", "created_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "with_calls", "with_files")
    list_select_related = ("user",)
    search_fields = ("title", f"user__{USERNAME}")
    date_hierarchy = "created_at"
    fields = (
        *("user", "conversation", "title", "with_calls", "with_files"),
        *("created_at", "revoked_at"),
    )
