"""The OAuth settings of a server, on the server's own page."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from automate.models import MCPServer, MCPServerOAuth
from automate.secrets import masked_secret

from . import base
from .forms import MCPServerOAuthForm, MCPServerOAuthFormSet

if TYPE_CHECKING:
    Inline = base.StackedInline[MCPServerOAuth, MCPServer]
else:
    Inline = base.StackedInline


class MCPServerOAuthInline(Inline):
    model = MCPServerOAuth
    form = MCPServerOAuthForm
    formset = MCPServerOAuthFormSet
    can_delete = False
    max_num = 1
    verbose_name_plural = _("OAuth")

    def get_fieldsets(self, request: HttpRequest, obj: MCPServer | None = None) -> Any:
        editable = obj is None or self.has_change_permission(request, obj)
        secret = ("client_secret_ref", "clear_secret") if editable else ("secret_masked",)
        fields = (
            "issuer",
            "client_id",
            *secret,
            "private_key_ref",
            "token_endpoint_auth_method",
            "scopes",
        )
        return ((None, {"fields": fields, "description": _description(request, obj)}),)

    def get_readonly_fields(self, request: HttpRequest, obj: MCPServer | None = None) -> Any:
        return ("secret_masked",)

    @admin.display(description=_("client secret"))
    def secret_masked(self, settings: MCPServerOAuth) -> str:
        return masked_secret(settings.client_secret_ref)


def _description(request: HttpRequest, server: MCPServer | None) -> str:
    """What an operator needs to know where a client is registered."""
    intro = _("Only for authentication by OAuth.")
    if server is None:
        return str(intro)
    try:
        callback = reverse("automate:callback", args=[server.slug])
        page = reverse("automate:accounts")
    except NoReverseMatch:
        return format_html("{} {}", intro, _("Include automate.urls in the site's addresses."))
    return format_html(
        '{} {} <code>{}</code> {} <a href="{}">{}</a>',
        intro,
        _("The redirect URI for a client that you register:"),
        request.build_absolute_uri(callback),
        _("People connect their accounts here:"),
        page,
        request.build_absolute_uri(page),
    )
