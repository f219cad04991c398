"""Searches an MCP registry for servers. Source: the registry's generic API, `GET /v0.1/servers`.

What it answers is other people's text: it is shown as such, and only the import makes it a server.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from automate_llm.exceptions import ProtocolError
from automate_llm.exchange import Exchange
from automate_llm.http import refuse_status, send
from automate_llm.strict_json import dumps, loads
from automate_llm.values import Connection

from .conf import conf

PAGE_SIZE = 20
SECONDS = 10.0
MAX_CURSOR = 1_000
MAX_TEXT_BYTES = 64 * 1024
"""Of one server; one that says more of itself is listed and cannot be added from here."""
_PATH = "/v0.1/servers"
_SLUG = "(registry)"


@dataclass(frozen=True, slots=True)
class Listed:
    """A server as the registry lists it; `text` is its `server.json`, for the import.

    It is empty where that is too long.
    """

    name: str
    title: str
    description: str
    version: str
    kinds: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what was found, and where the rest begins."""

    servers: tuple[Listed, ...]
    next_cursor: str = ""


def search(words: str, cursor: str = "") -> Page:
    """The newest version of each server whose name has these words in it, a page at a time.

    Raises:
        MCPClientError: the registry could not be asked, or did not answer as one.
    """
    settings = conf()
    base = settings.MCP_REGISTRY_URL.rstrip("/")
    asked = {"search": words, "version": "latest", "limit": str(PAGE_SIZE), "cursor": cursor}
    query = urlencode({name: value for name, value in asked.items() if value})
    connection = Connection(_SLUG, base, private_hosts=settings.private_hosts())
    headers = {"Accept": "application/json", "User-Agent": "django-automate"}
    exchange = Exchange(SECONDS)
    with send(connection, exchange, "GET", f"{base}{_PATH}?{query}", headers) as answer:
        refuse_status(answer)
        found = loads(answer.read())
    if not isinstance(found, Mapping) or not isinstance(found.get("servers"), list):
        raise ProtocolError("This is no MCP registry: its answer lists no servers.")
    listed = [_listed(each) for each in found["servers"][:PAGE_SIZE]]
    return Page(tuple(each for each in listed if each is not None), _cursor(found.get("metadata")))


def _listed(found: Any) -> Listed | None:
    server = found.get("server", found) if isinstance(found, Mapping) else None
    if not isinstance(server, Mapping) or not isinstance(server.get("name"), str):
        return None
    kept = {key: server[key] for key in ("name", "title", "remotes", "packages") if key in server}
    text = dumps(kept)
    return Listed(
        name=_plain(server["name"], 200),
        title=_plain(server.get("title"), 100),
        description=_plain(server.get("description"), 500),
        version=_plain(server.get("version"), 50),
        kinds=tuple(dict.fromkeys(_kinds(server))),
        text=text.decode() if len(text) <= MAX_TEXT_BYTES else "",
    )


def _kinds(server: Mapping[str, Any]) -> list[str]:
    """By what it can be reached: kinds of addresses, and of packages."""
    parts = [(server.get("remotes"), "type"), (server.get("packages"), "registryType")]
    return [
        _plain(each.get(key), 40)
        for several, key in parts
        if isinstance(several, list)
        for each in several
        if isinstance(each, Mapping)
    ]


def _cursor(metadata: Any) -> str:
    if not isinstance(metadata, Mapping):
        return ""
    cursor = metadata.get("nextCursor") or metadata.get("next_cursor") or ""
    return cursor if isinstance(cursor, str) and len(cursor) <= MAX_CURSOR else ""


def _plain(text: Any, most: int) -> str:
    """Somebody else's text without what cannot be seen."""
    known = text if isinstance(text, str) else ""
    return "".join(char for char in known if char.isprintable())[:most]
