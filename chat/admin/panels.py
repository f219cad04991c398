"""What the chat knows of servers, on their pages in the registry's admin: how calls went."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext

from automate.admin.panels import Fact, Level, Panel, server_panels
from automate.models import MCPServer
from chat.models import CallRecord, ToolCall
from chat.rendering import visible_text
from chat.tool_usage import SENT

LAST_CALLS = 20
"""How many of a server's last calls say how it is."""
RECENT_CALLS = 10_000
"""How many of the site's last calls are looked through for them, however many there are."""


@server_panels.facts
def call_facts(servers: Sequence[MCPServer]) -> Mapping[Any, Fact]:
    """How the last calls of each server went, of those with an outcome."""
    shown = {server.pk for server in servers}
    recent = CallRecord.objects.filter(outcome__in=SENT).order_by("-pk")
    outcomes: dict[Any, list[str]] = {}
    for server, outcome in recent.values_list("tool__server", "outcome")[:RECENT_CALLS]:
        last = outcomes.setdefault(server, [])
        if server in shown and len(last) < LAST_CALLS:
            last.append(outcome)
    return {server: _fact(last) for server, last in outcomes.items() if last}


@server_panels.panel
def last_calls(request: HttpRequest, server: MCPServer) -> Panel | None:
    """The server's last calls; who asked for them is for those alone who may see the audit."""
    audit = admin.site._registry.get(CallRecord)
    if audit is None or not audit.has_view_permission(request):
        return None
    calls = CallRecord.objects.filter(tool__server=server, outcome__in=SENT)
    rows = [
        format_html(
            '<tr><td><a href="{}">{}</a></td><td>{}</td><td>{}</td></tr>',
            reverse("admin:automate_chat_callrecord_change", args=[call.pk]),
            visible_text(call.tool_name),
            call.get_outcome_display(),
            "" if call.milliseconds is None else gettext("%d ms") % call.milliseconds,
        )
        for call in calls.order_by("-pk")[:LAST_CALLS]
    ]
    if not rows:
        return None
    head = format_html(
        '<tr><th scope="col">{}</th><th scope="col">{}</th><th scope="col">{}</th></tr>',
        *(gettext("tool"), gettext("outcome"), gettext("time")),
    )
    body = format_html("<table><thead>{}</thead><tbody>{}</tbody></table>", head, _joined(rows))
    return Panel(gettext("Last calls"), body)


def _fact(statuses: Sequence[str]) -> Fact:
    failed = sum(status != ToolCall.Status.SUCCEEDED for status in statuses)
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
