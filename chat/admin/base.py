"""What the admin's pages of the chat share: rows that are looked at and never changed."""

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from automate.admin import base
from automate.models import MCPToolVersion
from chat.models import CallRecord, ToolCall
from chat.rendering import visible_text

if TYPE_CHECKING:
    ModelAdmin = base.ModelAdmin[Any]
else:
    ModelAdmin = base.ModelAdmin

MAX_SHOWN_CHARACTERS = 20_000
USERNAME = get_user_model().USERNAME_FIELD


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


def preformatted(text: str) -> str:
    """The text as it stands, cut where it is very long."""
    return format_html("<pre>{}</pre>", visible_text(text)[:MAX_SHOWN_CHARACTERS])


def version_link(call: ToolCall | CallRecord, site: str) -> str:
    """The number of the tool's version that was called, as a link to its definition."""
    version = MCPToolVersion.objects.called(call.tool_id, call.tool_version)
    if version is None:
        return str(call.tool_version or "")
    page = "admin:automate_mcptoolversion_change"
    address = reverse(page, args=[version.pk], current_app=site)
    return format_html('<a href="{}">{}</a>', address, version.number)


def _is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)
