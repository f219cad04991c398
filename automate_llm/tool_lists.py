"""A server's tool list, made safe: good tools are kept, bad ones left out with a reason."""

import hashlib
import marshal
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from . import __version__, strict_json
from .redaction import redacted
from .text import clean_text
from .transports.base import Listing
from .transports.parameter_headers import MARK, misuse
from .transports.protocol import MODERN_VERSIONS
from .values import Discovery, SkippedTool, ToolSpec

MAX_TOOLS = 1_000
MAX_NAME_CHARACTERS = 100
MAX_DESCRIPTION_BYTES = 4 * 1024
MAX_SCHEMA_BYTES = 100 * 1024
_MAX_TITLE_BYTES = 200
_PASSING = ("list_changed", "private", "ttl")
_MAX_INSTRUCTIONS_BYTES = 4 * 1024


def discovery_of(
    listing: Listing, *, secrets: tuple[str, ...] = (), known_digest: str = ""
) -> Discovery:
    """The list as values: cleaned texts, bounded sizes, one tool for each name.

    `secrets` are taken out of whatever quotes them. A list whose digest is `known_digest` is not
    walked again.
    """
    # Everything that is read below, and the version that reads it. Version 0 of marshal has the
    # same bytes for the same values, and needs a third of the time that JSON takes.
    parts = _parts(listing)
    data = marshal.dumps([__version__, *parts.values()], 0)
    digest = hashlib.blake2b(data, digest_size=32).hexdigest()
    if any(secret.encode() in data for secret in secrets):
        listing = replace(listing, **redacted(parts, secrets))
    unchanged = digest == known_digest
    tools, skipped = ({}, []) if unchanged else _sorted_out(listing)
    return Discovery(
        tools=tuple(tools.values()),
        skipped=tuple(skipped),
        digest=digest,
        protocol=listing.protocol,
        protocol_version=listing.protocol_version,
        server_name=clean_text(listing.server_name, _MAX_TITLE_BYTES),
        server_version=clean_text(listing.server_version, 100),
        instructions=clean_text(listing.instructions, _MAX_INSTRUCTIONS_BYTES),
        capabilities=listing.capabilities,
        list_changed=listing.list_changed,
        ttl=listing.ttl,
        private=listing.private,
        unchanged=unchanged,
    )


def _sorted_out(listing: Listing) -> tuple[dict[str, ToolSpec], list[SkippedTool]]:
    tools: dict[str, ToolSpec] = {}
    skipped: list[SkippedTool] = []
    modern = listing.protocol_version in MODERN_VERSIONS
    for number, raw in enumerate(listing.tools):
        if number == MAX_TOOLS:
            skipped.append(SkippedTool("…", f"the server lists more than {MAX_TOOLS:,} tools"))
            break
        name = raw.get("name") if isinstance(raw, dict) else None
        if reason := _fault(raw, name, tools, modern=modern):
            skipped.append(SkippedTool(_shown(name, number), reason))
        else:
            tools[str(name)] = _tool(raw)
    return tools, skipped


def _fault(raw: object, name: object, earlier: dict[str, ToolSpec], *, modern: bool) -> str:
    """Why this entry cannot be a tool here; empty where it can."""
    if not isinstance(raw, dict):
        return "it is not an object"
    if not isinstance(name, str) or not name.strip():
        return "it has no name"
    if len(name) > MAX_NAME_CHARACTERS:
        return f"its name is longer than {MAX_NAME_CHARACTERS} characters"
    if not name.isprintable() or clean_text(name, 4 * MAX_NAME_CHARACTERS) != name:
        return "its name has hidden characters"
    if name in earlier:
        return "another tool has the same name"
    if not isinstance(raw.get("inputSchema"), dict):
        return "its inputSchema is missing or no object"
    output = raw.get("outputSchema")
    if output is not None and not isinstance(output, dict):
        return "its outputSchema is no object"
    if not strict_json.storable(raw):
        return "it has characters or numbers that no database stores"
    schemas = [strict_json.dumps(schema) for schema in _schemas(raw)]
    if sum(map(len, schemas)) > MAX_SCHEMA_BYTES:
        return f"its schemas are larger than {MAX_SCHEMA_BYTES // 1024} KB"
    if modern and MARK.encode() in schemas[0]:
        return misuse(raw["inputSchema"])
    return ""


def _schemas(raw: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield raw["inputSchema"]
    if raw.get("outputSchema") is not None:
        yield raw["outputSchema"]


def _tool(raw: dict[str, Any]) -> ToolSpec:
    annotations = raw.get("annotations")
    annotations = annotations if isinstance(annotations, dict) else {}
    title = raw.get("title") or annotations.get("title")
    description = raw.get("description")
    return ToolSpec(
        name=raw["name"],
        description=_text(description, MAX_DESCRIPTION_BYTES),
        input_schema=raw["inputSchema"],
        title=_text(title, _MAX_TITLE_BYTES),
        output_schema=raw.get("outputSchema"),
        annotations={key: value for key, value in annotations.items() if isinstance(value, bool)},
    )


def _text(value: object, limit: int) -> str:
    return clean_text(value, limit) if isinstance(value, str) else ""


def _shown(name: object, number: int) -> str:
    if isinstance(name, str) and (shown := " ".join(clean_text(name, 60).split())):
        return shown
    return f"number {number + 1}"


def _parts(listing: Listing) -> dict[str, Any]:
    """What the digest is of: all but for how long, and for whom, the list holds."""
    return {name: getattr(listing, name) for name in _PARTS}


_PARTS = [field.name for field in fields(Listing) if field.name not in _PASSING]
