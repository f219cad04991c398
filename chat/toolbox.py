"""The servers and tools of one conversation, each with its switch or with why it is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from automate.availability import (
    Availability,
    KnownServer,
    KnownTool,
    ServerState,
    ToolState,
    availability_for,
)
from automate.days import local_time
from automate.policy import Scope

MAX_SHOWN = 200
"""Tools of one server that are listed; its own switch is for all of them."""


@dataclass(frozen=True, slots=True)
class ShownTool:
    """A tool in the list; `address` leads to its page in the admin, for who may see it."""

    reference: str
    title: str
    name: str
    is_on: bool
    is_missing: bool
    words: str
    address: str


@dataclass(frozen=True, slots=True)
class ShownServer:
    """A server in the list, its usable tools apart from those that are missing."""

    reference: str
    name: str
    is_on: bool
    is_usable: bool
    state: str
    words: str
    address: str
    needs_account: bool
    tools: Sequence[ShownTool]
    more: int
    missing: Sequence[ShownTool]
    more_missing: int
    hidden: int
    count: int


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What one conversation has and lacks."""

    servers: Sequence[ShownServer]
    hidden: int

    @property
    def summary(self) -> str:
        """How many servers and tools the model is offered."""
        on = [server for server in self.servers if server.is_on and server.count]
        servers, tools = len(on), sum(server.count for server in on)
        return _("%(servers)s, %(tools)s") % {
            "servers": ngettext("%d server", "%d servers", servers) % servers,
            "tools": ngettext("%d tool", "%d tools", tools) % tools,
        }


def toolbox_for(user: Any, left_out: Scope) -> Toolbox:
    """How the tools of a conversation stand for its person now."""
    found: Availability = availability_for(user)
    links = _Links(user)
    return Toolbox([_server(each, left_out, links) for each in found.servers], found.hidden)


class _Links:
    """Addresses in the admin, for a person who may look there."""

    def __init__(self, user: Any) -> None:
        self._may = {
            model: user.is_staff
            and (
                user.has_perm(f"automate.view_{model}") or user.has_perm(f"automate.change_{model}")
            )
            for model in ("mcptool", "mcpserver")
        }

    def to(self, model: str, key: int) -> str:
        if not self._may[model]:
            return ""
        try:
            return reverse(f"admin:automate_{model}_change", args=[key])
        except NoReverseMatch:
            return ""


def _server(known: KnownServer, left_out: Scope, links: _Links) -> ShownServer:
    row = known.row
    is_out = row.pk in left_out.servers
    ready = [each for each in known.tools if each.is_ready]
    missing = [each for each in known.tools if not each.is_ready]
    return ShownServer(
        reference=f"s{row.pk}",
        name=row.name,
        is_on=known.is_usable and not is_out,
        is_usable=known.is_usable,
        state=known.state.value,
        words=_server_words(known, is_out),
        address=links.to("mcpserver", row.pk),
        needs_account=known.state == ServerState.ACCOUNT,
        tools=[_tool(each, left_out, links) for each in ready[:MAX_SHOWN]],
        more=max(0, len(ready) - MAX_SHOWN),
        missing=[_tool(each, left_out, links) for each in missing[:MAX_SHOWN]],
        more_missing=max(0, len(missing) - MAX_SHOWN),
        hidden=known.hidden,
        count=sum(each.row.pk not in left_out.tools for each in ready),
    )


def _server_words(known: KnownServer, is_out: bool) -> str:
    if known.state not in (ServerState.READY, ServerState.OFF) and known.row.last_synced:
        when = known.row.last_synced
        since = _("%(state)s. Its tools were last read: %(date)s")
        return since % {"state": known.state.label, "date": _date(when)}
    if known.state != ServerState.READY:
        return f"{known.state.label}."
    return _("You left it out.") if is_out else ""


def _date(moment: datetime) -> str:
    local = local_time(moment)
    return formats.date_format(local, "DATETIME_FORMAT")


def _tool(known: KnownTool, left_out: Scope, links: _Links) -> ShownTool:
    row = known.row
    return ShownTool(
        reference=f"t{row.pk}",
        title=row.title or row.name,
        name=row.name,
        is_on=known.is_ready and not left_out.has(row.pk, row.server_id),
        is_missing=not known.is_ready,
        words="" if known.state == ToolState.READY else f"{known.state.label}.",
        address="" if known.is_ready else links.to("mcptool", row.pk),
    )
