"""Text from servers as HTML: escaped, and with nothing in it that people cannot see."""

import json
import unicodedata
from typing import Any

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

from automate_llm.text import parts_by_visibility


def visible(text: str) -> SafeString:
    """The text with the number of each hidden character in its place, marked as such."""
    parts = [
        escape(part) if is_seen else _marked(part) for part, is_seen in parts_by_visibility(text)
    ]
    return mark_safe("".join(parts))  # noqa: S308  each part is escaped


def json_shown(value: Any) -> SafeString:
    """A value as JSON over several lines, its hidden characters marked."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return format_html('<pre class="automate-json" tabindex="0">{}</pre>', visible(text))


def folded_json(value: Any) -> SafeString:
    """The same, to be opened where somebody wants to see it."""
    return format_html(
        '<details class="automate-raw"><summary>{}</summary>{}</details>',
        gettext("As JSON"),
        json_shown(value),
    )


def _marked(character: str) -> SafeString:
    number = f"U+{ord(character):04X}"
    return format_html(
        '<mark class="automate-hidden" title="{}">{}</mark>',
        unicodedata.name(character, number),
        number,
    )
