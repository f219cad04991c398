"""The admin of MCP servers: what they are, how they are, and the sync of their tools."""

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm, Script
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from automate.accounts import forget_all
from automate.models import MCPServer
from automate.secrets import masked_secret
from automate_llm.exceptions import MCPClientError

from .conflicts import ConflictAdmin
from .forms import MCPServerForm
from .health import server_health
from .importing import ImportingAdmin
from .oauth import MCPServerOAuthInline
from .panels import PanelledAdmin, server_panels
from .policy import warn_of_permission
from .probing import ProbingAdmin
from .registry import RegistryAdmin
from .rules import RuleInline
from .syncing import SyncingAdmin

if TYPE_CHECKING:
    Form = ModelForm[MCPServer]
else:
    Form = ModelForm


@admin.register(MCPServer)
class MCPServerAdmin(
    ImportingAdmin, RegistryAdmin, ProbingAdmin, SyncingAdmin, ConflictAdmin, PanelledAdmin
):
    panels = server_panels
    secret_fields = ("auth_secret_ref",)
    form = MCPServerForm
    inlines = (MCPServerOAuthInline, RuleInline)
    list_display = (
        "name",
        "enabled",
        "health",
        "status",
        "sync",
        "tools_usable",
        "endpoint_url",
        "slug",
        "accounts",
    )
    list_filter = ("enabled",)
    search_fields = ("name", "slug", "endpoint_url")
    actions = ("sync_tools", "enable", "disable", "export_servers", "forget_accounts")
    readonly_fields = (
        "health",
        "status",
        "accounts",
        "last_synced",
        "last_error",
        "last_warning",
        "offerings_warning",
        "settled_protocol",
        "protocol_version",
        "server_name",
        "server_version",
        "instructions",
    )
    _SECRET = ("auth_secret_ref", "clear_secret")
    # Where nothing may be edited the admin shows a field's own value; this one must not be.
    _SECRET_MASKED = ("secret_masked",)
    _STATE = (
        _("State"),
        {
            "fields": readonly_fields,
            "description": _("What the last sync found out. A failed sync changes no tool."),
        },
    )

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["automate/admin.css"]}
        js = (
            Script("automate/server-form.js", type="module"),
            Script("automate/sync-states.js", type="module"),
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[MCPServer]:
        counted = MCPServer.objects.with_tool_counts().with_account_counts()
        states = counted.select_related("sync_state__asked_by").defer("sync_state__changes")
        return states.order_by("name", "pk")

    def get_fieldsets(self, request: HttpRequest, obj: MCPServer | None = None) -> Any:
        editable = obj is None or self.has_change_permission(request, obj)
        secret = self._SECRET if editable else self._SECRET_MASKED
        if obj is None:
            secret = self._SECRET[:1]  # there is none to be removed yet
        return (
            (None, {"fields": ("name", "slug", "enabled")}),
            (_("Address"), {"fields": ("endpoint_url", "protocol", "timeout")}),
            (
                _("Login"),
                {
                    "fields": ("auth_type", "auth_header", *secret),
                    "description": _(
                        "What the chosen login does not use is left as it is. “Test connection” "
                        "tries all of this before it is stored."
                    ),
                },
            ),
            (_("Behaviour"), {"fields": ("accept_changes",)}),
            (_("Who may use it"), {"fields": ("required_permission",)}),
            *(() if obj is None else (self._STATE,)),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: MCPServer | None = None) -> Any:
        fixed = obj is not None and obj.tools.exists()
        return ("slug", *self.readonly_fields) if fixed else self.readonly_fields

    def get_prepopulated_fields(self, request: HttpRequest, obj: MCPServer | None = None) -> Any:
        return {"slug": ("name",)} if obj is None else {}

    @admin.display(description=_("usable tools"), ordering="usable_count")
    def tools_usable(self, server: MCPServer) -> str:
        return format_html(
            '<a href="{}?server__id__exact={}">{}</a>',
            reverse("admin:automate_mcptool_changelist", current_app=self.admin_site.name),
            server.pk,
            gettext("%(usable)d of %(all)d")
            % {"usable": server.usable_count, "all": server.tool_count},
        )

    @admin.display(description=_("connected accounts"), ordering="account_count")
    def accounts(self, server: MCPServer) -> str:
        if not server.ending_count:
            return str(server.account_count)
        words = ngettext(
            "%(all)d; %(n)d has to be connected again within a week",
            "%(all)d; %(n)d have to be connected again within a week",
            server.ending_count,
        )
        return words % {"all": server.account_count, "n": server.ending_count}

    @admin.display(description=_("secret"))
    def secret_masked(self, server: MCPServer) -> str:
        return masked_secret(server.auth_secret_ref)

    @admin.display(description=_("health"))
    def health(self, server: MCPServer) -> str:
        return server_health(server, self.facts_of(server)).badge()

    @admin.display(description=_("status"))
    def status(self, server: MCPServer) -> str:
        return server_status(server)

    @admin.action(description=_("Switch on selected servers"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[MCPServer]) -> None:
        self._switch(request, queryset, enabled=True)

    @admin.action(description=_("Switch off selected servers"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[MCPServer]) -> None:
        self._switch(request, queryset, enabled=False)

    @admin.action(description=_("Forget all accounts of selected servers"), permissions=["change"])
    def forget_accounts(self, request: HttpRequest, queryset: QuerySet[MCPServer]) -> None:
        count = forget_all(list(queryset))
        words = ngettext("%d account is forgotten.", "%d accounts are forgotten.", count)
        self.message_user(request, words % count, messages.SUCCESS)

    def save_model(self, request: HttpRequest, obj: MCPServer, form: Form, change: bool) -> None:
        """Save what was edited and nothing else, so that a sync at the same time loses nothing."""
        if not change:
            super().save_model(request, obj, form, change)
            warn_of_permission(self, request, form)
            return
        edited = set(form.changed_data)
        if edited & {"auth_secret_ref", "clear_secret"}:
            edited.add("auth_secret_ref")
        if edited & {"endpoint_url", "protocol"}:
            obj.settled_protocol = obj.protocol_version = ""
            edited |= {"settled_protocol", "protocol_version"}
        obj.save(update_fields=edited - {"clear_secret"})
        warn_of_permission(self, request, form)

    def response_add(
        self, request: HttpRequest, obj: MCPServer, post_url_continue: str | None = None
    ) -> HttpResponse:
        response = super().response_add(request, obj, post_url_continue)
        return self._with_next_step(request, obj, response)

    def response_change(self, request: HttpRequest, obj: MCPServer) -> HttpResponse:
        return self._with_next_step(request, obj, super().response_change(request, obj))

    def _with_next_step(
        self, request: HttpRequest, server: MCPServer, response: HttpResponse
    ) -> HttpResponse:
        if "_sync" in request.POST:
            self.begin_sync(request, [server])
            page = "admin:automate_mcpserver_change"
            return HttpResponseRedirect(
                reverse(page, args=[server.pk], current_app=self.admin_site.name)
            )
        try:
            server.connection(request.user)
        except MCPClientError as exc:
            self.message_user(request, f"{server}: {exc}", messages.WARNING)
        if not server.settled_protocol:
            self.message_user(
                request,
                _("%(server)s was not asked for its tools yet. Next: press “Save and sync tools”.")
                % {"server": server},
                messages.INFO,
            )
        return response

    def _switch(
        self, request: HttpRequest, queryset: QuerySet[MCPServer], *, enabled: bool
    ) -> None:
        keys = [server.pk for server in queryset]
        count = MCPServer.objects.filter(pk__in=keys).update(enabled=enabled)
        words = (
            ngettext("%d server is on.", "%d servers are on.", count)
            if enabled
            else ngettext("%d server is off.", "%d servers are off.", count)
        )
        self.message_user(request, words % count, messages.SUCCESS)


def server_status(server: MCPServer) -> str:
    """In words, whether a chat can use the server's tools, and what to do if it cannot.

    The server comes from `with_tool_counts`.
    """
    if not server.enabled:
        return gettext("Off: no chat uses its tools.")
    if server.last_error and server.last_synced is None:
        return gettext("Not reached yet. %(error)s") % {"error": server.last_error}
    if server.last_error:
        return gettext("The last sync failed; its tools stay as they were. %(error)s") % {
            "error": server.last_error
        }
    if server.last_synced is None:
        return gettext("Never synced: choose “Sync tools from selected servers”.")
    if server.review_count:
        return ngettext(
            "%d tool waits for approval.", "%d tools wait for approval.", server.review_count
        ) % (server.review_count,)
    if server.last_warning:
        return gettext("Some of its tools were left out: see the last warning.")
    if server.offerings_warning:
        return gettext("Not all is well with its resources or prompts: %(warning)s") % {
            "warning": server.offerings_warning
        }
    if not server.tool_count:
        return gettext("It lists no tools.")
    if not server.usable_count:
        return gettext("None of its tools can be used: look at its tools.")
    return gettext("Ready.")
