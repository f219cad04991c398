"""Why a person's chat has a tool, or has it not: every server with its tools, each in its state.

What the catalog lists is ready; all else is explained. Tools that the person has no right to, by
permissions or by the policy, are counted and never named.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db import models
from django.utils.translation import gettext_lazy as _

from automate_llm.breaker import FAILURES, breaker_of

from .catalog import catalog_for
from .models import MCPServer, MCPTool, OAuthToken
from .models.permissions import User, permissions_lacked
from .policy import Policy

_UNREAD = ("description", "input_schema", "output_schema")


class ToolState(models.TextChoices):
    """What stands between a tool and the chat; the first that is so."""

    READY = "ready", _("Ready")
    GONE = "gone", _("Its server no longer offers it")
    BROKEN = "broken", _("Its schema is broken, so no call could be checked")
    NEW = "new", _("New: it waits for the operator's review")
    CHANGED = "changed", _("It has changed, and waits for the operator's review")
    OFF = "off", _("Switched off by the operator")


class ServerState(models.TextChoices):
    """What stands between a server's tools and the chat."""

    READY = "ready", _("Ready")
    OFF = "off", _("Switched off by the operator")
    UNSYNCED = "unsynced", _("Its tools were never read")
    DOWN = "down", _("It does not answer")
    UNSURE = "unsure", _("It could not be reached lately")
    ACCOUNT = "account", _("Your account must be connected first")


@dataclass(frozen=True, slots=True)
class KnownTool:
    """A tool that the person may know of."""

    row: MCPTool
    state: ToolState

    @property
    def is_ready(self) -> bool:
        return self.state == ToolState.READY


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A server that the person may know of; `hidden` counts tools without a right to them."""

    row: MCPServer
    state: ServerState
    tools: list[KnownTool] = field(default_factory=list)
    hidden: int = 0

    @property
    def is_usable(self) -> bool:
        """Whether the model is offered its tools; they may fail all the same."""
        return self.state != ServerState.OFF


@dataclass(frozen=True, slots=True)
class Availability:
    """Everything that one person's chat could have; `hidden` counts servers without a right."""

    servers: list[KnownServer]
    hidden: int = 0


def availability_for(user: User) -> Availability:
    """How each server and tool stands for this person now, in the order of their names."""
    servers = list(MCPServer.objects.order_by("name", "pk"))
    lacked = permissions_lacked(user, {(each.required_permission,) for each in servers})
    known = [each for each in servers if (each.required_permission,) not in lacked]
    if not user.is_active:
        known = []
    listed = _tools_of(known)
    ready = set(catalog_for(user).tool_ids.values())
    policy = Policy(user)
    connected = _connected(user, known)
    return Availability(
        [_known(each, listed.get(each.pk, []), user, ready, policy, connected) for each in known],
        hidden=len(servers) - len(known),
    )


def is_down(slug: str, endpoint_url: str) -> bool:
    """Whether calls of this process to a server fail again and again."""
    breaker = breaker_of(slug, endpoint_url)
    return bool(breaker.pause) or breaker.failures >= FAILURES


def _tools_of(servers: Iterable[MCPServer]) -> dict[int, list[MCPTool]]:
    by_id = {server.pk: server for server in servers if server.enabled}
    found: dict[int, list[MCPTool]] = {}
    for tool in MCPTool.objects.filter(server__in=by_id).defer(*_UNREAD).order_by("name", "pk"):
        tool.server = by_id[tool.server_id]
        found.setdefault(tool.server_id, []).append(tool)
    return found


def _known(
    server: MCPServer,
    tools: list[MCPTool],
    user: User,
    ready: set[int],
    policy: Policy,
    connected: set[int],
) -> KnownServer:
    required = {(tool.required_permission,) for tool in tools}
    lacked = permissions_lacked(user, required)
    permitted = [
        tool
        for tool in tools
        if tool.pk in ready or ((tool.required_permission,) not in lacked and policy.shows(tool))
    ]
    return KnownServer(
        row=server,
        state=_server_state(server, connected),
        tools=[KnownTool(tool, _tool_state(tool, ready)) for tool in permitted],
        hidden=len(tools) - len(permitted),
    )


def _tool_state(tool: MCPTool, ready: set[int]) -> ToolState:
    if tool.pk in ready:
        return ToolState.READY
    if not tool.available:
        return ToolState.GONE
    if tool.review == MCPTool.Review.NEW:
        return ToolState.NEW
    if not tool.enabled:
        return ToolState.OFF
    if tool.review != MCPTool.Review.APPROVED:
        return ToolState.CHANGED
    return ToolState.BROKEN


def _server_state(server: MCPServer, connected: set[int]) -> ServerState:
    if not server.enabled:
        return ServerState.OFF
    if server.auth_type == MCPServer.AuthType.OAUTH_USER and server.pk not in connected:
        return ServerState.ACCOUNT
    if is_down(server.slug, server.endpoint_url):
        return ServerState.DOWN
    if server.last_synced is None:
        return ServerState.UNSYNCED
    return ServerState.UNSURE if server.last_error else ServerState.READY


def _connected(user: User, servers: Iterable[MCPServer]) -> set[int]:
    """The servers at which this person has an account; asked only where there is such a server."""
    if not any(server.auth_type == MCPServer.AuthType.OAUTH_USER for server in servers):
        return set()
    rows = OAuthToken.objects.connected().filter(user=user.pk)
    return set(rows.values_list("server_id", flat=True))
