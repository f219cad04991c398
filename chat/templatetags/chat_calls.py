"""What the cards of tool calls need."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from automate_llm.text import escaped_hidden
from chat.call_groups import CallGroup, group_of
from chat.models import ToolCall
from chat.rendering import visible_text
from chat.results import trees
from chat.results.previews import preview_of
from chat.results.tables import Cell, cell

MAX_GIST_CHARACTERS = 80
MAX_KEPT_CHARACTERS = 8_000
ARGUMENTS = trees.Bounds(lines=100, width=50, opened=100, text=2_000)

register = template.Library()


@register.filter
def gist(call: ToolCall) -> str:
    """The plain values among the arguments, in a few words; empty where there are none."""
    plain = (
        str(value) if isinstance(value, str) else cell(value).text
        for value in (call.arguments or {}).values()
        if value not in ("", None) and not isinstance(value, dict | list)
    )
    text = ""
    for each in plain:
        text = f"{text}, {each}" if text else each
        if len(text) > MAX_GIST_CHARACTERS:
            return f"{visible_text(' '.join(text[:MAX_GIST_CHARACTERS].split()))}…"
    return visible_text(" ".join(text.split()))


@register.filter
def arguments_tree(call: ToolCall) -> str:
    """The arguments as a tree."""
    return trees.tree(call.arguments, ARGUMENTS)


@register.filter
def preview(call: ToolCall) -> SafeString:
    """The beginning of the result; what is shown often is kept ready."""
    text = call.result_text
    if len(text) > MAX_KEPT_CHARACTERS:
        return _preview(text)
    return _kept_preview(text, get_language())


@register.filter
def group(calls: Sequence[ToolCall]) -> CallGroup | None:
    """Several calls taken together; nothing for one alone."""
    return group_of(calls)


@register.filter
def running_seconds(call: ToolCall) -> float:
    """How long it has been running."""
    if call.started_at is None:
        return 0.0
    return max(0.0, (timezone.now() - call.started_at).total_seconds())


@register.filter
def as_cell(value: Any) -> Cell:
    """A plain value as it stands in a table."""
    return cell(value)


@register.filter
def thousands(count: int) -> str:
    """A count that can be read when it is large."""
    return f"{count:,}"


@register.filter
def unhidden(text: Any) -> str:
    """Foreign text that is data, with its hidden characters as escapes."""
    return escaped_hidden(str(text))


@lru_cache(maxsize=256)
def _kept_preview(text: str, language: str | None) -> SafeString:
    return _preview(text)


def _preview(text: str) -> SafeString:
    return render_to_string("chat/partials/preview.html", {"preview": preview_of(text)})
