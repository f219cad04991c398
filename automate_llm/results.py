"""A tool's result, as the model is shown it."""

import json
from collections.abc import Mapping
from typing import Any

from .content import RASTER_TYPES
from .values import ToolResult


def model_text(result: ToolResult, limit: int) -> str:
    """The result as text of at most `limit` characters; what was left out is said.

    Structured content or the text, never both: servers send the same data twice. Files are
    named, not shown.
    """
    blocks = result.content
    parts = []
    if result.has_structured:
        parts.append(_structured_text(result.structured))
        blocks = tuple(block for block in blocks if block.get("type") != "text")
    text = "\n".join([*parts, *map(_block_text, blocks)])
    if len(text) <= limit:
        return text or "(empty)"
    return (
        f"{text[:limit]}\n[Cut here: this is the first {limit:,} of {len(text):,} characters. "
        "Ask for less, if the tool allows it.]"
    )


def _structured_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _block_text(block: dict[str, Any]) -> str:
    match block:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "resource", "resource": {"text": str(text), **resource}}:
            return f"[resource {resource.get('uri', '')}]\n{text}"
        case {"type": "resource_link", "uri": str(uri), **link}:
            return f"[link to {link.get('name', 'a resource')}: {uri}]"
        case {"type": "resource", "resource": {"uri": str(uri), **resource}}:
            return _file_text(f"resource {uri}".rstrip(), resource)
        case {"type": "image" | "audio" as kind, **media}:
            return _file_text(kind, media)
        case {"type": "unusable", "kind": kind, "reason": reason}:
            return f"[{kind} left out: {reason}]"
        case _:
            return "[something that cannot be shown]"


def _file_text(what: str, part: Mapping[Any, Any]) -> str:
    """A file in words. It reaches a person only where it was stored."""
    words = [f"{what} {part.get('mimeType', '')}".rstrip()]
    if "file" in part:
        shown = part.get("mimeType") in RASTER_TYPES
        words += [_size(part["bytes"]), f"{'shown' if shown else 'given'} to the person"]
    return f"[{', '.join(words)}]"


def _size(count: int) -> str:
    if count < 1024:
        return f"{count} bytes"
    if count < 1024 * 1024:
        return f"{round(count / 1024)} KB"
    return f"{count / 1024 / 1024:.1f} MB"
