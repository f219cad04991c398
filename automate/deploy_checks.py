"""What `manage.py check --deploy` says about servers and tools, as the database has them.

automate.W010  a server's secret lies in the database as it is
automate.W011  a server on another machine is reached without TLS
automate.W012  a server has a private address that MCP_PRIVATE_HOSTS does not list
automate.W013  an entry of MCP_PRIVATE_HOSTS is used by no server
automate.W014  an entry of MCP_PRIVATE_HOSTS opens every port of a host
automate.W015  tools may be called whose definition nobody has reviewed
automate.W016  a server's secret may be any environment variable, or any file

Where there is no database yet, as in the build of an image, nothing is said.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.apps import AppConfig
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError
from django.db.models import F

from .conf import conf
from .models import MCPServer, MCPTool, MCPToolVersion
from .secrets import is_raw_secret

_NAMED = 5


def found_in_database(look: Callable[[], Iterator[CheckMessage]]) -> list[CheckMessage]:
    """What a look at the rows finds; nothing where there is no database, or no tables yet."""
    try:
        return list(look())
    except DatabaseError:
        return []


@register(Tags.security, deploy=True)
def check_servers(
    app_configs: Sequence[AppConfig] | None = None, **options: Any
) -> list[CheckMessage]:
    """Whether servers are reached safely, and their secrets kept so."""
    return found_in_database(_servers)


@register(Tags.security, deploy=True)
def check_reviews(
    app_configs: Sequence[AppConfig] | None = None, **options: Any
) -> list[CheckMessage]:
    """Whether somebody has looked at what chats may call."""
    return found_in_database(_reviews)


def _servers() -> Iterator[CheckMessage]:
    used: set[str] = set()
    found = list(MCPServer.objects.order_by("slug"))
    listed = {_plain(entry): entry for entry in conf().MCP_PRIVATE_HOSTS}
    for server in found:
        if is_raw_secret(server.auth_secret_ref):
            yield Warning(
                f"The secret of the MCP server {server.slug!r} lies in the database as it is.",
                hint="Put it into the environment or a file, and refer to it: env:NAME, file:PATH.",
                id="automate.W010",
            )
        parts = _parts(server.endpoint_url)
        if parts is None or not server.enabled:
            continue
        host, with_port = _names(parts)
        used |= {host, _plain(with_port)}
        if parts.scheme == "http" and not _is_here(host):
            yield Warning(
                f"The MCP server {server.slug!r} is on another machine and is reached without TLS, "
                "so that whoever is between can read and change what is said, and take its secret.",
                hint="Use its https address.",
                id="automate.W011",
            )
        if _is_private(host) and not {host, _plain(with_port)} & listed.keys():
            yield Warning(
                f"The MCP server {server.slug!r} has the private address {host!r}, which is "
                "refused while DEBUG is off.",
                hint=f"Add {with_port!r} to AUTOMATE['MCP_PRIVATE_HOSTS'] if it is meant.",
                id="automate.W012",
            )
    yield from _wide(listed, used)
    if found:
        yield from _any_secret()


def _any_secret() -> Iterator[CheckMessage]:
    anything = ("env:A_NAME_OF_ANY_KIND", "file:/a/path/of/any/kind")
    wide = [
        pattern
        for pattern in conf().SECRET_REFERENCES
        if any(fnmatchcase(each, pattern) for each in anything)
    ]
    if wide:
        yield Warning(
            f"AUTOMATE['SECRET_REFERENCES'] allows {' and '.join(map(repr, wide))}, so that those "
            "who may edit servers can have nearly every secret here sent to one of theirs.",
            hint="Name what is meant for servers, as in ['env:MCP_*', 'file:/run/secrets/mcp_*'].",
            id="automate.W016",
        )


def _reviews() -> Iterator[CheckMessage]:
    reviewed = MCPToolVersion.objects.filter(
        reviews__isnull=False, number=F("tool__version")
    ).values("tool")
    unseen = MCPTool.objects.usable().exclude(pk__in=reviewed).order_by("function_name")
    count = unseen.count()
    if count:
        names = ", ".join(unseen.values_list("function_name", flat=True)[:_NAMED])
        more = ", …" if count > _NAMED else ""
        yield Warning(
            f"Chats may call tools whose definition nobody has reviewed, {count} in all: "
            f"{names}{more}.",
            hint="A first sync is trusted. Look at them in the admin's review of tools, and "
            "approve them there.",
            id="automate.W015",
        )


def _wide(listed: dict[str, str], used: set[str]) -> Iterator[CheckMessage]:
    for plain, entry in sorted(listed.items()):
        has_port = "]:" in entry or entry.count(":") == 1
        if plain not in used:
            yield Warning(
                f"AUTOMATE['MCP_PRIVATE_HOSTS'] has {entry!r}, which no server that is on uses.",
                hint="Take it out; add it again when a server needs it.",
                id="automate.W013",
            )
        elif not has_port:
            yield Warning(
                f"AUTOMATE['MCP_PRIVATE_HOSTS'] has {entry!r}, which opens every port there to "
                "whoever may edit servers.",
                hint="Write the port too, as in 'mcp.internal:8080'.",
                id="automate.W014",
            )


def _plain(entry: str) -> str:
    """An entry without the brackets that the address in it may have."""
    return re.sub(r"[][]", "", entry).lower()


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:
        return None


def _names(parts: SplitResult) -> tuple[str, str]:
    """The host alone, and with its port, as `MCP_PRIVATE_HOSTS` may list them."""
    host = (parts.hostname or "").lower()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return host, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_here(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _is_private(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and not address.is_global)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
