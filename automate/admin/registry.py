"""The page that searches an MCP registry; what is found leads to the import's preview."""

from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext

from automate.conf import conf
from automate.models import MCPServer
from automate.registry_search import MAX_CURSOR, Page, search
from automate_llm.exceptions import MCPClientError

from . import base

if TYPE_CHECKING:
    ModelAdmin = base.ModelAdmin[MCPServer]
else:
    ModelAdmin = base.ModelAdmin

MAX_WORDS = 200


class RegistryAdmin(ModelAdmin):
    """Adds the search page, where `MCP_REGISTRY_URL` names a registry."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.registry_view)
        return [path("registry/", view, name="automate_mcpserver_registry"), *super().get_urls()]

    def registry_view(self, request: HttpRequest) -> HttpResponse:
        """Search, and show a page of what was found. The registry is asked only for words."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        address = conf().MCP_REGISTRY_URL
        if not address:
            raise Http404
        words = request.GET.get("q", "").replace("\0", "").strip()[:MAX_WORDS]
        cursor = request.GET.get("cursor", "")[:MAX_CURSOR]
        page, problem = Page(()), ""
        if words:
            try:
                page = search(words, cursor)
            except MCPClientError as exc:
                problem = str(exc)
        site = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Search the registry"),
            "media": self.media,
            "import_url": reverse("admin:automate_mcpserver_import", current_app=site),
            "address": address,
            "words": words,
            "page": page,
            "problem": problem,
        }
        return TemplateResponse(request, "admin/automate/mcpserver/registry.html", context)
