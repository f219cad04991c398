"""Reads lists of MCP servers that other programs keep, and writes one.

`mcpServers` of Claude Desktop, Cursor and many others; VS Code's `servers`; and the registry's
`server.json`. No secret is taken over: a reference to a variable becomes `env:NAME`, and a secret
that stands there itself is left behind, with the name of the variable to put it into.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.text import slugify
from django.utils.translation import gettext as _

from .conf import conf
from .import_entries import (
    Draft,
    EntryProblem,
    draft_of_config,
    draft_of_registry,
    masked_command,
    variable_name,
)
from .models import MCPServer
from .stdio import PREFIX

MAX_BYTES = 1024 * 1024
MAX_ENTRIES = 1_000
_FIELDS = ("endpoint_url", "protocol", "auth_type", "auth_header", "auth_secret_ref")


class ImportProblem(Exception):
    """The text as a whole cannot be read; the message is for the person who gave it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One server that was found, and whether it can be created.

    `problems` say why it cannot; `setting` is then perhaps what to add to the site's settings.
    `is_repeated` says that another server has the same address.
    """

    name: str
    slug: str = ""
    values: Mapping[str, str] | None = None
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    setting: str = ""
    is_repeated: bool = False

    @property
    def is_good(self) -> bool:
        """Whether it can be created."""
        return self.values is not None and not self.problems

    def row(self) -> MCPServer:
        """The server, switched off and not stored."""
        return MCPServer(name=self.name, slug=self.slug, enabled=False, **self.values or {})

    def as_plain(self) -> dict[str, Any]:
        """What `entries_of_plain` takes; there is no secret in it."""
        return {"name": self.name, "slug": self.slug, "values": dict(self.values or {})}


def read_entries(text: str) -> list[Entry]:
    """Every server in a text, checked by itself and against those that there are.

    It takes two queries for any number of them.

    Raises:
        ImportProblem: the text is none of the formats.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise ImportProblem(_("It is longer than 1 MB."))
    found = [*_found(_parsed(text))]
    if not found:
        raise ImportProblem(_("It lists no servers."))
    if len(found) > MAX_ENTRIES:
        raise ImportProblem(
            _("It lists %(n)d servers; take %(most)d at most.")
            % {"n": len(found), "most": MAX_ENTRIES}
        )
    return _compared([_checked(entry) for entry in found])


def entries_of_plain(plain: Any) -> list[Entry]:
    """What `Entry.as_plain` gave, checked anew.

    Raises:
        ImportProblem: it is something else.
    """
    try:
        found = [
            Entry(
                str(each["name"]),
                str(each["slug"]),
                {name: str(each["values"].get(name, "")) for name in _FIELDS},
            )
            for each in plain[:MAX_ENTRIES]
        ]
    except (AttributeError, KeyError, TypeError):
        raise ImportProblem(_("This form was changed on its way. Begin again.")) from None
    return _compared([_checked(entry) for entry in found])


def _parsed(text: str) -> Any:
    for attempt in (text, _without_comments(text)):
        try:
            value = json.loads(attempt, object_pairs_hook=_Pairs)
        except ValueError as exc:
            problem = exc
        except RecursionError:
            raise ImportProblem(_("It is nested too deeply.")) from None
        else:
            return value
    where = getattr(problem, "lineno", None)
    if where is None:
        raise ImportProblem(_("It is no JSON."))
    # The parser's own words, which quote nothing of the text.
    raise ImportProblem(
        _("It is no JSON: line %(line)d, column %(column)d.")
        % {"line": where, "column": getattr(problem, "colno", 0)}
    )


class _Pairs(dict[str, Any]):
    """An object that knows which of its names stood there twice."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _value in pairs)
        self.twice = {name for name, count in counts.items() if count > 1}


# What is not closed goes to the end, so that no text makes these quadratic.
_COMMENTS = re.compile(r'("(?:\\.|[^"\\])*(?:"|\\?\Z))|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_LAST_COMMAS = re.compile(r'("(?:\\.|[^"\\])*(?:"|\\?\Z))|,(?=\s*[}\]])', re.DOTALL)


def _without_comments(text: str) -> str:
    """The text as VS Code reads it: without comments and last commas."""
    bare = _COMMENTS.sub(lambda match: match[1] or " ", text)
    return _LAST_COMMAS.sub(lambda match: match[1] or "", bare)


def _found(value: Any) -> Iterator[Entry]:
    if isinstance(value, Mapping) and isinstance(value.get("mcp"), Mapping):
        value = value["mcp"]  # VS Code's settings.json
    match value:
        case {"mcpServers": _Pairs() as servers} | {"servers": _Pairs() as servers}:
            for name, config in servers.items():
                yield _entry(name, draft_of_config, config, twice=name in servers.twice)
        case {"servers": list() as servers}:  # a page of the registry
            for server in servers:
                yield _registry_entry(server)
        case {"server": dict()} | {"remotes": list()} | {"packages": list()}:
            yield _registry_entry(value)
        case _:
            raise ImportProblem(
                _("It has neither “mcpServers” nor “servers”, and is no server.json.")
            )


def _registry_entry(value: Any) -> Entry:
    server = value.get("server", value) if isinstance(value, Mapping) else value
    name = server.get("name") if isinstance(server, Mapping) else None
    return _entry(name, draft_of_registry, server, twice=False)


def _entry(name: Any, draft_of: Any, config: Any, *, twice: bool) -> Entry:
    text = _clean(name) if isinstance(name, str) else ""
    if not text:
        return Entry("?", problems=(_("It has no name."),))
    slug = slugify(text.rsplit("/", 1)[-1])[:40].strip("-_")
    shown = text[:100]
    if twice:
        return Entry(shown, slug, problems=(_("This name stands there twice."),))
    try:
        draft: Draft = draft_of(slug, config)
    except EntryProblem as exc:
        return Entry(shown, slug, problems=(str(exc),), setting=exc.setting)
    values = {field: getattr(draft, field) for field in _FIELDS}
    title = _clean(draft.title)[:100]
    return Entry(title or shown, slug, values, warnings=tuple(draft.warnings))


def _clean(text: str) -> str:
    """The text without what cannot be seen."""
    return "".join(char for char in text if char.isprintable()).strip()


def _checked(entry: Entry) -> Entry:
    """The entry with what its fields may not hold; its own problems come first."""
    if not entry.is_good:
        return entry
    if not entry.slug:
        return replace(entry, problems=(_("No slug can be made of its name."),))
    row = entry.row()
    try:
        row.clean_fields()
    except ValidationError as exc:
        problems = tuple(
            f"{MCPServer._meta.get_field(field).verbose_name}: {' '.join(texts)}"  # type: ignore[union-attr]
            for field, texts in exc.message_dict.items()
        )
        # The values may be what they were refused for: a secret in an address is not to be shown.
        return replace(entry, values=None, problems=problems)
    return entry


def _compared(entries: list[Entry]) -> list[Entry]:
    """The entries, with those told that another server is in the way of, or the same as."""
    slugs, urls = {}, {}
    for name, slug, url in MCPServer.objects.values_list("name", "slug", "endpoint_url"):
        slugs[slug], urls[url] = name, name
    compared = []
    for entry in entries:
        if not entry.is_good or entry.values is None:
            compared.append(entry)
            continue
        url = entry.values["endpoint_url"]
        if entry.slug in slugs:
            words = _("The slug %(slug)s is taken by “%(name)s”.")
            problem = words % {"slug": entry.slug, "name": slugs[entry.slug]}
            compared.append(replace(entry, problems=(problem,)))
            continue
        if url in urls:
            words = _("“%s” has the same address.") % urls[url]
            entry = replace(entry, warnings=(*entry.warnings, words), is_repeated=True)
        slugs[entry.slug], urls[url] = entry.name, entry.name
        compared.append(entry)
    return compared


def exported(servers: Iterable[MCPServer]) -> dict[str, Any]:
    """These servers as `mcpServers`: secrets as references or placeholders, never as values.

    A command that the settings no longer have is left out.
    """
    listed = {server.slug: _exported(server) for server in servers}
    return {"mcpServers": {slug: config for slug, config in listed.items() if config}}


def _exported(server: MCPServer) -> dict[str, Any] | None:
    if server.endpoint_url.startswith(PREFIX):
        return _exported_command(conf().STDIO_SERVERS.get(server.endpoint_url[len(PREFIX) :]))
    config: dict[str, Any] = {"url": server.endpoint_url}
    if kind := {"mcp": "http", "sse": "sse", "rest": "rest"}.get(server.protocol):
        config["type"] = kind
    match server.auth_type:
        case "bearer":
            place = _placeholder(server.auth_secret_ref, f"{variable_name(server.slug)}_TOKEN")
            config["headers"] = {"Authorization": f"Bearer {place}"}
        case "api_key":
            place = _placeholder(server.auth_secret_ref, f"{variable_name(server.slug)}_KEY")
            config["headers"] = {server.auth_header: place}
    return config


def _exported_command(entry: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if entry is None or not entry.get("command"):
        return None
    program, *arguments = masked_command([str(word) for word in entry["command"]])
    config: dict[str, Any] = {"command": program, "args": arguments}
    if environment := entry.get("env"):
        config["env"] = {
            name: _placeholder(str(value), str(name)) for name, value in environment.items()
        }
    return config


def _placeholder(reference: str, name: str) -> str:
    """The variable that holds the secret, or one that somebody has yet to fill."""
    kind, _separator, variable = reference.partition(":")
    return f"${{{variable if kind == 'env' and variable else name}}}"
