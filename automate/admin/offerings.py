"""The admin of resources and prompts: what servers offer beside tools, each with its switch."""

import json
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from automate.models import MCPPrompt, MCPResource, OfferingQuerySet
from automate.models.offerings import Offering

from . import base

if TYPE_CHECKING:
    ModelAdmin = base.ModelAdmin[Any]
    Form = ModelForm[Any]
else:
    ModelAdmin, Form = base.ModelAdmin, ModelForm


class OfferingAdmin(ModelAdmin):
    """They come from a sync and are never typed in; only the switch is the operator's."""

    list_editable = ("enabled",)
    list_select_related = ("server",)
    actions = ("enable", "disable")
    _STATE = ("available", "first_seen", "changed_at")

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["automate/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only along with their server: a sync would take a row that is gone for a new one."""
        match = request.resolver_match
        own = f"automate_{self.opts.model_name}_"
        is_own_page = match is not None and str(match.url_name).startswith(own)
        return not is_own_page and super().has_delete_permission(request, obj)

    @admin.display(description=_("status"))
    def status(self, offering: Offering) -> str:
        return offering_status(offering)

    @admin.action(description=_("Enable the selected ones"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = self._rows(queryset).enable()
        self._say(request, ngettext("%d is on.", "%d are on.", count) % count)

    @admin.action(description=_("Disable the selected ones"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = self._rows(queryset).disable()
        self._say(request, ngettext("%d is off.", "%d are off.", count) % count)

    def save_model(self, request: HttpRequest, obj: Offering, form: Form, change: bool) -> None:
        """Turn the switch and nothing else, so that a sync at the same time loses nothing."""
        if "enabled" in form.changed_data:
            self.model._default_manager.filter(pk=obj.pk).update(enabled=obj.enabled)

    def _rows(self, queryset: QuerySet[Any]) -> OfferingQuerySet[Any]:
        """The chosen rows by their keys: what the list filtered by may change with them."""
        rows: OfferingQuerySet[Any] = self.model._default_manager.filter(
            pk__in=[row.pk for row in queryset]
        )
        return rows

    def _say(self, request: HttpRequest, words: str) -> None:
        self.message_user(request, words, messages.SUCCESS)


@admin.register(MCPResource)
class MCPResourceAdmin(OfferingAdmin):
    list_display = ("name", "uri", "server", "enabled", "status", "mime_type", "size")
    list_filter = ("server", "enabled", "available", "is_template")
    search_fields = ("name", "title", "uri", "description")
    fields = (
        *("status", "enabled", "server", "uri", "is_template", "name", "title", "description"),
        *("mime_type", "size", *OfferingAdmin._STATE),
    )
    readonly_fields = tuple(name for name in fields if name != "enabled")


@admin.register(MCPPrompt)
class MCPPromptAdmin(OfferingAdmin):
    list_display = ("name", "title", "server", "enabled", "status", "changed_at")
    list_filter = ("server", "enabled", "available")
    search_fields = ("name", "title", "description")
    fields = (
        *("status", "enabled", "server", "name", "title", "description"),
        *("arguments_shown", *OfferingAdmin._STATE),
    )
    readonly_fields = tuple(name for name in fields if name != "enabled")

    @admin.display(description=_("arguments"))
    def arguments_shown(self, prompt: MCPPrompt) -> str:
        shown = json.dumps(prompt.arguments, indent=2, ensure_ascii=False)
        return format_html('<pre class="automate-json">{}</pre>', shown)


def offering_status(offering: Offering) -> str:
    """In words, whether a chat may offer it, and what stands in its way."""
    if not offering.available:
        return gettext("Gone: its server no longer lists it.")
    if not offering.enabled:
        return gettext("Off.")
    if not offering.server.enabled:
        return gettext("Its server is off.")
    return gettext("Ready.")
