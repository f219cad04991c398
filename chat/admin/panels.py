"""What the chat knows of servers, on their pages in the registry's admin: how calls went."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import F, Subquery, Window
from django.db.models.functions import Coalesce, RowNumber
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext

from automate.admin.panels import Fact, Level, Panel, server_panels
from automate.models import MCPServer
from chat.models import ToolCall
from chat.rendering import visible_text

LAST_CALLS = 20
"""How many of a server's last calls say how it is."""
RECENT_CALLS = 10_000
"""How many of the site's last calls are looked through for them, however many there are."""

_Status = ToolCall.Status
_TRIED = (_Status.SUCCEEDED, _Status.FAILED, _Status.UNKNOWN)


@server_panels.facts
def call_facts(servers: Sequence[MCPServer]) -> Mapping[Any, Fact]:
    """How the last calls of each server went, of those with an outcome."""
    recent = ToolCall.objects.order_by("-pk").values("pk")[RECENT_CALLS : RECENT_CALLS + 1]
    by_server = Window(RowNumber(), partition_by="tool__server", order_by=F("pk").desc())
    last = (
        ToolCall.objects.filter(pk__gt=Coalesce(Subquery(recent), 0))
        .filter(tool__server__in=[server.pk for server in servers], status__in=_TRIED)
        .annotate(place=by_server)
        .filter(place__lte=LAST_CALLS)
        .order_by()
        .values_list("tool__server", "status")
    )
    outcomes: dict[Any, list[str]] = {}
    for server, status in last:
        outcomes.setdefault(server, []).append(status)
    return {server: _fact(statuses) for server, statuses in outcomes.items()}


@server_panels.panel
def last_calls(request: HttpRequest, server: MCPServer) -> Panel | None:
    """The server's last calls; who asked for them is for those alone who may see the audit."""
    audit = admin.site._registry.get(ToolCall)
    if audit is None or not audit.has_view_permission(request):
        return None
    calls = ToolCall.objects.filter(tool__server=server).defer("result", "result_text")
    rows = [
        format_html(
            '<tr><td><a href="{}">{}</a></td><td>{}</td><td>{}</td></tr>',
            reverse("admin:automate_chat_toolcall_change", args=[call.pk]),
            visible_text(call.function_name),
            call.get_status_display(),
            "" if call.seconds is None else gettext("%.2f s") % call.seconds,
        )
        for call in calls.order_by("-pk")[:LAST_CALLS]
    ]
    if not rows:
        return None
    head = format_html(
        '<tr><th scope="col">{}</th><th scope="col">{}</th><th scope="col">{}</th></tr>',
        *(gettext("tool"), gettext("status"), gettext("time")),
    )
    body = format_html("<table><thead>{}</thead><tbody>{}</tbody></table>", head, _joined(rows))
    return Panel(gettext("Last calls"), body)


def _fact(statuses: Sequence[str]) -> Fact:
    failed = sum(status != _Status.SUCCEEDED for status in statuses)
    words = ngettext(
        "The last call: %(well)d went well.",
        "Of the last %(all)d calls %(well)d went well.",
        len(statuses),
    )
    level = Level.GOOD
    if failed:
        level = Level.BAD if failed * 2 >= len(statuses) else Level.DOUBTFUL
    return Fact(words % {"all": len(statuses), "well": len(statuses) - failed}, level)


def _joined(rows: Sequence[str]) -> str:
    return format_html("{}" * len(rows), *rows)
