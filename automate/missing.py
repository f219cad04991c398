"""One line for the model on what its person's chat lacks, so that it can say so.

It is empty while nothing is amiss, and the same bytes for the same state: it stands in front of the
conversation, which providers cache by its beginning. A tool that nobody has reviewed yet is counted
only, since its name is its server's word; servers have the names that operators gave them.
"""

from collections.abc import Sequence, Set

from django.db.models import Q

from .availability import is_down
from .compiled import CompiledQuery
from .models import MCPServer, MCPTool
from .models.permissions import User, permissions_lacked
from .policy import Policy

MAX_NAMED = 8
"""Servers, and tools, that the line names."""

_MAX_TOOLS = 200

Server = tuple[int, str, str, str, str, str]
Tool = tuple[int, int, str, str, str]

_servers: CompiledQuery[Server] = CompiledQuery(
    lambda: (
        MCPServer.objects.enabled()
        .order_by("name", "pk")
        .values_list("pk", "name", "slug", "endpoint_url", "last_error", "required_permission")
    )
)
_waiting: CompiledQuery[Tool] = CompiledQuery(
    lambda: (
        MCPTool.objects.awaiting_review()
        .filter(Q(review=MCPTool.Review.NEW) | Q(enabled=True), server__enabled=True)
        .order_by("function_name")
        .values_list("pk", "server_id", "function_name", "review", "required_permission")[
            :_MAX_TOOLS
        ]
    )
)


def missing_line(user: User, left_out: Set[int] = frozenset()) -> str:
    """What the model is told; nothing of servers that the person left out, or may not use."""
    servers = _servers.rows()
    lacked = permissions_lacked(user, {(each[5],) for each in servers})
    known = {each[0]: each for each in servers if each[0] not in left_out}
    known = {pk: each for pk, each in known.items() if (each[5],) not in lacked}
    if not known:
        return ""
    parts = [*_of_servers(list(known.values())), *_of_tools(user, known)]
    if not parts:
        return ""
    return "Not to be had at the moment, should the person ask for it: " + "; ".join(parts) + "."


def _of_servers(servers: Sequence[Server]) -> list[str]:
    down = [name for _pk, name, slug, url, error, _needed in servers if error or is_down(slug, url)]
    if not down:
        return []
    return [f"tools of {_named(down)} may fail, since it could not be reached lately"]


def _of_tools(user: User, servers: dict[int, Server]) -> list[str]:
    waiting = [each for each in _waiting.rows() if each[1] in servers]
    if not waiting:
        return []
    permitted = _permitted(user, waiting)
    new = [each for each in permitted if each[3] == MCPTool.Review.NEW]
    changed = [each[2] for each in permitted if each[3] != MCPTool.Review.NEW]
    parts = []
    if new:
        where = list(dict.fromkeys(servers[each[1]][1] for each in new))
        parts.append(f"{len(new)} new tools of {_named(where)}, until the operator reviews them")
    if changed:
        parts.append(f"the changed tools {_named(changed)}, until the operator reviews them")
    return parts


def _permitted(user: User, tools: Sequence[Tool]) -> list[Tool]:
    """Those that the person would have, if nothing but the review stood in the way."""
    lacked = permissions_lacked(user, {(each[4],) for each in tools})
    policy = Policy(user)
    kept = [
        each
        for each in tools
        if (each[4],) not in lacked and policy.outline.shows(each[0], each[1])
    ]
    if policy.hook is None or not kept:
        return kept
    rows = MCPTool.objects.select_related("server").in_bulk([each[0] for each in kept])
    return [each for each in kept if each[0] in rows and policy.shows(rows[each[0]])]


def _named(names: Sequence[str]) -> str:
    rest = len(names) - MAX_NAMED
    listed = ", ".join(names[:MAX_NAMED])
    return f"{listed} and {rest} more" if rest > 0 else listed
