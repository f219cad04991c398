"""Content blocks of tools, resources and prompts: checked, bounded, and parted from their files.

A block that breaks a rule is not dropped without a word: it becomes one of type `unusable`, with
the `kind` that it claimed to be and the `reason`. Source: MCP 2026-07-28, schema, "ContentBlock".
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from .text import clean_text
from .values import ToolResult

MAX_BLOCKS = 1_000
MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_URI_CHARACTERS = 2_000
OCTETS = "application/octet-stream"

Block = dict[str, Any]

_MAX_NAME_BYTES = 200
_MAX_DESCRIPTION_BYTES = 4 * 1024
_MAX_KIND_CHARACTERS = 40
_MAX_TYPE_CHARACTERS = 100
_MAX_SIZE = 2**53

RASTER_TYPES = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
}
"""Images that a page may show, by how their bytes begin. SVG is none: it can hold scripts."""

_OTHER_TYPES = {
    "application/gzip": "application/gzip",
    "application/json": "application/json",
    "application/pdf": "application/pdf",
    "application/zip": "application/zip",
    "audio/aac": "audio/aac",
    "audio/flac": "audio/flac",
    "audio/mp3": "audio/mpeg",
    "audio/mp4": "audio/mp4",
    "audio/mpeg": "audio/mpeg",
    "audio/ogg": "audio/ogg",
    "audio/wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/webm": "audio/webm",
    "audio/x-wav": "audio/wav",
    "text/csv": "text/csv",
    "text/markdown": "text/markdown",
    "text/plain": "text/plain",
    "video/mp4": "video/mp4",
    "video/webm": "video/webm",
}
# RFC 6838, section 4.2, `restricted-name`.
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
_KIND = re.compile(r"[\w./-]+", re.ASCII)


class _Unusable(Exception):
    """Why a block cannot be taken."""


@dataclass(frozen=True)
class File:
    """What a server sent as Base64, decoded. `media_type` is one that we chose, not its word."""

    data: bytes = field(repr=False)
    media_type: str

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def file_type(claimed: object, data: bytes) -> str:
    """The media type to serve this by: an image's own, else one that is known to be harmless."""
    for media_type, beginning in RASTER_TYPES.items():
        if beginning.match(data):
            return media_type
    return _OTHER_TYPES.get(named_type(claimed), OCTETS)


def _claimed_type(claimed: object) -> str:
    """The media type by its server's word, where it is one of a few."""
    name = named_type(claimed)
    return name if name in RASTER_TYPES else _OTHER_TYPES.get(name, OCTETS)


def named_type(claimed: object) -> str:
    """A media type as its server names it, without parameters, to be shown; empty if malformed."""
    if not isinstance(claimed, str):
        return ""
    name = claimed.partition(";")[0].strip().lower()
    return name if len(name) <= _MAX_TYPE_CHARACTERS and _TYPE.fullmatch(name) else ""


def plain_uri(value: object) -> str:
    """A URI as it came, where it is one that may be shown and sent back; empty otherwise."""
    if not isinstance(value, str) or len(value) > MAX_URI_CHARACTERS or not value.isprintable():
        return ""
    if "\ufffd" in value:  # stands for what no database stores
        return ""
    return value if clean_text(value, 4 * MAX_URI_CHARACTERS) == value.strip() else ""


def plain_size(value: object) -> int | None:
    """A number of bytes where it is one."""
    return value if type(value) is int and 0 <= value < _MAX_SIZE else None


def checked_blocks(blocks: Iterable[object], secrets: tuple[str, ...] = ()) -> tuple[Block, ...]:
    """The blocks with what this client knows of them, and nothing else.

    Files stay in them as Base64. One that holds one of the `secrets` is not taken.
    """
    checked: list[Block] = []
    for block in blocks:
        if len(checked) == MAX_BLOCKS:
            checked.append(_unusable("rest", f"there are more than {MAX_BLOCKS:,} blocks"))
            break
        checked.append(checked_block(block, secrets))
    return tuple(checked)


def checked_block(block: object, secrets: tuple[str, ...] = ()) -> Block:
    """One block, checked."""
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(block, dict) or not isinstance(kind, str):
        return _unusable("block", "it has no type")
    check = _CHECKS.get(kind)
    if check is None:
        return _unusable(kind, "this client does not know its kind")
    try:
        return {"type": kind, **check(block, secrets)}
    except _Unusable as exc:
        return _unusable(kind, str(exc))


def without_files(result: ToolResult) -> tuple[ToolResult, tuple[File, ...]]:
    """The result with each file's SHA-256 and size in the place of its Base64, and the files.

    From here on a file has the media type to serve it by, whatever its server called it. The
    blocks must be checked. A file that stands there twice is given once.
    """
    files: dict[str, File] = {}
    content = tuple(_parted(block, files) for block in result.content)
    return replace(result, content=content), tuple(files.values())


def _parted(block: Block, files: dict[str, File]) -> Block:
    match block:
        case {"type": "image" | "audio", "data": str()}:
            return _with_file(block, "data", files)
        case {"type": "resource", "resource": {"blob": str()} as resource}:
            return {**block, "resource": _with_file(resource, "blob", files)}
        case _:
            return block


def _with_file(part: Block, key: str, files: dict[str, File]) -> Block:
    data = base64.b64decode(part[key])
    file = File(data, file_type(part["mimeType"], data))
    kept = files.setdefault(file.sha256, file)
    rest = {name: value for name, value in part.items() if name != key}
    return {**rest, "mimeType": kept.media_type, "file": kept.sha256, "bytes": len(data)}


def _text(block: Block, secrets: tuple[str, ...]) -> Block:
    if not isinstance(block.get("text"), str):
        raise _Unusable("it has no text")
    return {"text": block["text"]}


def _media(block: Block, secrets: tuple[str, ...]) -> Block:
    return _encoded(block, "data", secrets)


def _resource(block: Block, secrets: tuple[str, ...]) -> Block:
    return {"resource": _contents(block.get("resource"), secrets)}


def _contents(resource: object, secrets: tuple[str, ...]) -> Block:
    if not isinstance(resource, dict):
        raise _Unusable("it has no resource")
    uri = {"uri": plain_uri(resource.get("uri"))}
    if isinstance(resource.get("text"), str):
        return {**uri, **_named_type(resource), "text": resource["text"]}
    return {**uri, **_encoded(resource, "blob", secrets)}


def _link(block: Block, secrets: tuple[str, ...]) -> Block:
    uri = plain_uri(block.get("uri"))
    if not uri:
        raise _Unusable("its address is missing or malformed")
    link = {"uri": uri, "name": _line(block.get("name"), _MAX_NAME_BYTES) or uri}
    if title := _line(block.get("title"), _MAX_NAME_BYTES):
        link["title"] = title
    if description := _line(block.get("description"), _MAX_DESCRIPTION_BYTES):
        link["description"] = description
    size = plain_size(block.get("size"))
    return {**link, **_named_type(block), **({} if size is None else {"size": size})}


def _encoded(part: Block, key: str, secrets: tuple[str, ...]) -> Block:
    encoded = part.get(key)
    if not isinstance(encoded, str) or not encoded:
        raise _Unusable("it has no data")
    if len(encoded) > (MAX_FILE_BYTES + 2) // 3 * 4:
        raise _Unusable(f"it is larger than {MAX_FILE_BYTES // 1024 // 1024} MB")
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:  # binascii's own error is one
        raise _Unusable("its data is not Base64") from None
    if any(secret.encode() in data for secret in secrets):
        raise _Unusable("it holds a secret of this site")
    return {"mimeType": _claimed_type(part.get("mimeType")), key: encoded}


def _named_type(part: Block) -> Block:
    name = named_type(part.get("mimeType"))
    return {"mimeType": name} if name else {}


def _line(value: object, limit: int) -> str:
    return " ".join(clean_text(value, limit).split()) if isinstance(value, str) else ""


def _unusable(kind: str, reason: str) -> Block:
    known = len(kind) <= _MAX_KIND_CHARACTERS and _KIND.fullmatch(kind)
    return {"type": "unusable", "kind": kind if known else "block", "reason": reason}


_CHECKS: dict[str, Callable[[Block, tuple[str, ...]], Block]] = {
    "audio": _media,
    "image": _media,
    "resource": _resource,
    "resource_link": _link,
    "text": _text,
}
