"""“Test connection” on the page of a server: what was typed is tried, and nothing is stored."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.translation import gettext as _

from automate.models import MCPServer, MCPServerOAuth
from automate.probing import Finding, of_error, probe
from automate_llm.exceptions import MCPClientError
from automate_llm.oauth import MemoryTokenStore, OAuthAuthenticator
from automate_llm.values import Connection

from . import base
from .forms import MCPServerForm

if TYPE_CHECKING:
    ModelAdmin = base.ModelAdmin[MCPServer]
else:
    ModelAdmin = base.ModelAdmin

TRIED = (
    *("endpoint_url", "protocol", "timeout"),
    *("auth_type", "auth_header", "auth_secret_ref", "clear_secret"),
)
"""The fields that a try is about; the others need not even be filled in."""
_AUTH = MCPServer.AuthType


class ProbingAdmin(ModelAdmin):
    """Pages with a button that tries the connection as it stands in the form.

    With JavaScript the findings come into the page; without it, as the page once more with all that
    was typed, but a secret.
    """

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.probe_view)
        return [
            path("add/test/", view, name="automate_mcpserver_probe_new"),
            path("<path:object_id>/change/test/", view, name="automate_mcpserver_probe"),
            *super().get_urls(),
        ]

    def probe_view(self, request: HttpRequest, object_id: str | None = None) -> HttpResponse:
        """Try what was typed, by somebody who may save it."""
        server = None if object_id is None else self.get_object(request, unquote(object_id))
        if object_id is not None and server is None:
            raise Http404
        may = self.has_add_permission if server is None else self.has_change_permission
        if not may(request, *(() if server is None else (server,))):
            raise PermissionDenied
        page = self._address("change" if server else "add", object_id)
        if request.method != "POST":
            return HttpResponseRedirect(page)
        findings = self._findings(request, server)
        if request.headers.get("X-Requested-With") == "fetch":
            return render(request, "admin/automate/findings.html", {"findings": findings})
        request.only_tried = True  # type: ignore[attr-defined]
        shown: HttpResponse = self.changeform_view(request, object_id, page, {"findings": findings})
        return shown

    def get_form(
        self,
        request: HttpRequest,
        obj: MCPServer | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The form; where it is only tried, one that is never saved."""
        form = super().get_form(request, obj, change, **kwargs)
        if getattr(request, "only_tried", False):
            return type(form.__name__, (_OnlyTried, form), {})
        return form

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        server = kwargs.get("obj")
        kind = ("probe", server.pk) if server is not None else ("probe_new", None)
        context["probe_url"] = self._address(*kind)
        return super().render_change_form(request, context, *args, **kwargs)

    def _address(self, kind: str, key: Any) -> str:
        arguments = () if key is None else (key,)
        site = self.admin_site.name
        return reverse(f"admin:automate_mcpserver_{kind}", args=arguments, current_app=site)

    def _findings(self, request: HttpRequest, server: MCPServer | None) -> list[Finding]:
        fields = flatten_fieldsets(self.get_fieldsets(request, server))
        form_class = self.get_form(request, server, change=server is not None, fields=fields)
        # `server` is left as it is stored; the form writes into its own.
        form = form_class(request.POST, instance=self._again(server))
        form.is_valid()
        wrong = [form.fields[name].label for name in TRIED if name in form.errors]
        if wrong:
            problems = [text for name in TRIED for text in form.errors.get(name, [])]
            words = _("Not tried. Look at: %s.") % ", ".join(map(str, wrong))
            return [Finding("bad", words, " ".join(problems))]
        typed = {name: form.cleaned_data[name] for name in TRIED if name != "clear_secret"}
        try:
            connection = _connection(MCPServer(slug="(test)", **typed))
            if typed["auth_type"] == _AUTH.OAUTH_CLIENT:
                connection = _authorized(connection, self._oauth(request, form.instance, server))
        except MCPClientError as exc:
            return [of_error(exc)]
        return probe(connection, people_log_in=typed["auth_type"] == _AUTH.OAUTH_USER)

    def _again(self, server: MCPServer | None) -> MCPServer:
        return MCPServer.objects.get(pk=server.pk) if server is not None else MCPServer()

    def _oauth(
        self, request: HttpRequest, typed: MCPServer, server: MCPServer | None
    ) -> MCPServerOAuth:
        """The OAuth settings as they were typed.

        Raises:
            MCPClientError: they cannot be used as they stand.
        """
        formsets, _inlines = self._create_formsets(request, typed, change=server is not None)  # type: ignore[attr-defined]
        for formset in formsets:
            if formset.model is MCPServerOAuth:
                if formset.is_valid() and formset.forms:
                    return formset.forms[0].instance  # type: ignore[no-any-return]
                raise MCPClientError(_("Not tried. Fill in the OAuth settings first."))
        raise MCPClientError(_("Not tried. You may not see the OAuth settings."))


class _OnlyTried(MCPServerForm):
    """A form that keeps what was typed, complains of what was tried alone, and is never saved."""

    def is_valid(self) -> bool:
        super().is_valid()
        for name in set(self.errors) - set(TRIED):
            del self.errors[name]
        return False


def _connection(typed: MCPServer) -> Connection:
    if typed.auth_type in (_AUTH.OAUTH_CLIENT, _AUTH.OAUTH_USER):
        typed.auth_type = _AUTH.NONE
    return typed.connection()


def _authorized(connection: Connection, settings: MCPServerOAuth) -> Connection:
    """The connection with a token of the site's own, which is forgotten afterwards."""
    config = settings.config("client_credentials", "", "")
    return replace(
        connection, authenticator=OAuthAuthenticator(connection, config, MemoryTokenStore())
    )
