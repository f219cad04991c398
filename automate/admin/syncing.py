"""Syncs in the admin: begun by a button, run in the background, and seen while they run."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from automate.days import local_day, local_time
from automate.models import MCPServer, MCPTool, ServerSync
from automate.sync_changes import KINDS
from automate.sync_jobs import begin

from . import base
from .panels import Panel, server_panels

if TYPE_CHECKING:
    ModelAdmin = base.ModelAdmin[MCPServer]
else:
    ModelAdmin = base.ModelAdmin

MAX_STATES = 200
"""How many servers' states one look may ask for."""
_DIGITS = 18
"""Of a key; more would not fit into any database's."""
_CHANGES = {
    "added": _("Added"),
    "changed": _("Changed"),
    "gone": _("No longer there"),
    "returned": _("Back again"),
}


class SyncingAdmin(ModelAdmin):
    """Begins syncs and shows their state; a small module asks for it anew while one runs."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.sync_states_view)
        return [
            path("sync-states/", view, name="automate_mcpserver_sync_states"),
            *super().get_urls(),
        ]

    def sync_states_view(self, request: HttpRequest) -> HttpResponse:
        """The states of the servers that are asked for, each as it stands in a page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = request.GET.getlist("server")[:MAX_STATES]
        keys = [key for key in asked if key.isdecimal() and len(key) <= _DIGITS]
        servers = MCPServer.objects.filter(pk__in=keys).select_related("sync_state__asked_by")
        states = [self.sync(server) for server in servers]
        return render(request, "admin/automate/sync_states.html", {"states": states})

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if (server := kwargs.get("obj")) is not None:
            context["sync_state"] = self.sync(server)
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description=_("sync"), ordering="last_synced")
    def sync(self, server: MCPServer) -> str:
        state = _state_of(server)
        view = "admin:automate_mcpserver_sync_states"
        context = {
            "server": server,
            "words": sync_words(server),
            "is_live": state is not None and state.is_under_way,
            "url": reverse(view, current_app=self.admin_site.name),
        }
        return render_to_string("admin/automate/sync_state.html", context)

    @admin.action(description=_("Sync tools from selected servers"), permissions=["change"])
    def sync_tools(self, request: HttpRequest, queryset: QuerySet[MCPServer]) -> None:
        self.begin_sync(request, list(queryset))

    def begin_sync(self, request: HttpRequest, servers: Sequence[MCPServer]) -> None:
        """Have these servers synced, and say of which a sync was under way already."""
        begun = begin(servers, request.user)
        if count := len(begun.servers):
            words = ngettext(
                "%d sync has begun; its state is shown below.",
                "%d syncs have begun; their state is shown below.",
                count,
            )
            self.message_user(request, words % count, messages.SUCCESS)
        for state in begun.under_way:
            words = gettext("%(server)s: a sync is under way already. %(state)s") % {
                "server": state.server,
                "state": _under_way_words(state),
            }
            self.message_user(request, words, messages.WARNING)


def sync_words(server: MCPServer) -> str:
    """In words, how the sync of a server is."""
    state = _state_of(server)
    if state is not None and state.is_under_way:
        return _under_way_words(state)
    if state is not None and state.is_lost:
        return gettext("Interrupted: its process ended before it was done. Begin it again.")
    last, ended = server.last_synced, state.finished_at if state is not None else None
    if ended is None or (last is not None and last > ended):
        return gettext("Last, %s.") % _moment(last) if last is not None else gettext("Never.")
    words = gettext("Failed, %(when)s. %(what)s")
    if state is not None and state.status == ServerSync.Status.DONE:
        words = gettext("Done, %(when)s: %(what)s.")
    return words % {"when": _moment(ended), "what": state.summary if state is not None else ""}


@server_panels.panel
def last_changes(request: HttpRequest, server: MCPServer) -> Panel | None:
    """The tools that came, changed and went with the last sync that found any such."""
    state = _state_of(server)
    if state is None or not state.changes:
        return None
    context = {"groups": list(_groups(server, state)), "when": state.changed_at}
    title = gettext("What the last change brought")
    return Panel(title, render_to_string("admin/automate/last_changes.html", context))


def _groups(server: MCPServer, state: ServerSync) -> Iterator[dict[str, Any]]:
    found = {kind: state.changes[kind] for kind in KINDS if kind in state.changes}
    names = {name for group in found.values() for name in group["names"]}
    tools = dict(MCPTool.objects.filter(server=server, name__in=names).values_list("name", "pk"))
    for kind, group in found.items():
        yield {
            "title": _CHANGES[kind],
            "count": group["count"],
            "more": group["count"] - len(group["names"]),
            "tools": [(name, tools.get(name)) for name in group["names"]],
        }


def _state_of(server: MCPServer) -> ServerSync | None:
    try:
        return server.sync_state
    except ServerSync.DoesNotExist:
        return None


def _under_way_words(state: ServerSync) -> str:
    if state.status == ServerSync.Status.RUNNING:
        return gettext("Running since %s.") % _moment(state.started_at)
    return gettext("In line since %s.") % _moment(state.queued_at)


def _moment(moment: Any) -> str:
    local = local_time(moment)
    same_day = local.date() == local_day(timezone.now())
    return local.strftime("%H:%M:%S") if same_day else date_format(local, "DATETIME_FORMAT")
