"""A tool's result, as the model is shown it."""

import json
from typing import Any

from .values import ToolResult


def model_text(result: ToolResult, limit: int) -> str:
    """The result as text of at most `limit` characters; what was left out is said.

    Structured content or the text, never both: servers send the same data twice. Other content
    is named, not shown.
    """
    if result.has_structured:
        text = (
            result.structured
            if isinstance(result.structured, str)
            else json.dumps(result.structured, ensure_ascii=False, separators=(",", ":"))
        )
    else:
        text = "\n".join(map(_block_text, result.content))
    if len(text) <= limit:
        return text or "(empty)"
    return (
        f"{text[:limit]}\n[Cut here: this is the first {limit:,} of {len(text):,} characters. "
        "Ask for less, if the tool allows it.]"
    )


def _block_text(block: dict[str, Any]) -> str:
    match block:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "resource", "resource": {"text": str(text), **resource}}:
            return f"[resource {resource.get('uri', '')}]\n{text}"
        case {"type": "resource_link", "uri": str(uri), **link}:
            return f"[link to {link.get('name', 'a resource')}: {uri}]"
        case {"type": kind, **rest}:
            return f"[{kind} {rest.get('mimeType', '')}, shown to the person only]"
        case _:
            return "[something that cannot be shown]"
