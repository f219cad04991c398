"""Prompts of servers: templates of messages, which a person fills in, sees, and then sends."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from automate.conf import conf
from automate.models import MCPPrompt
from automate.policy import Scope
from automate_llm.mcp_client import MCPClient
from automate_llm.offerings import FilledPrompt
from automate_llm.text import clean_text

from .schema_forms import SchemaForm

MAX_PROMPTS = 300
"""How many are offered; whoever has more leaves out servers."""

_MAX_ARGUMENT_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class Filled:
    """A prompt's words for the person to look at, and what could not be taken over."""

    text: str
    notes: tuple[str, ...] = ()


def prompts_for(user: Any, left_out: Scope) -> list[MCPPrompt]:
    """The prompts that this person may use here, by the names of their servers."""
    usable = MCPPrompt.objects.usable_by(user).exclude(server__in=left_out.servers)
    return list(usable.select_related("server").order_by("server__name", "name")[:MAX_PROMPTS])


def arguments_form(prompt: MCPPrompt, data: Mapping[str, Any] | None = None) -> SchemaForm:
    """A form for the texts that the prompt takes."""
    named = [each for each in prompt.arguments if isinstance(each, dict) and each.get("name")]
    schema = {
        "type": "object",
        "properties": {
            each["name"]: {
                "type": "string",
                "maxLength": _MAX_ARGUMENT_CHARACTERS,
                "title": each.get("title") or each["name"],
                "description": each.get("description") or "",
            }
            for each in named
        },
        "required": [each["name"] for each in named if each.get("required")],
        "additionalProperties": False,
    }
    return SchemaForm(schema, {}, data, prefix="prompt", asks=True)


def filled(prompt: MCPPrompt, user: Any, arguments: Mapping[str, str]) -> Filled:
    """What the server makes of a prompt; nothing of it is sent to a model.

    The words are those of messages in the person's own name, with nothing in them that cannot be
    seen, cut at the longest message.

    Raises:
        MCPClientError: the server gave nothing that can be used.
    """
    client = MCPClient(prompt.server.for_user(user))
    answer = client.get_prompt(prompt.name, arguments)
    own = [each.content for each in answer.messages if each.role == "user"]
    texts = [text for block in own if (text := _text(block))]
    most = conf().MAX_MESSAGE_CHARACTERS
    whole = clean_text("\n\n".join(texts), 4 * most).strip()
    return Filled(whole[:most], tuple(_notes(answer, len(texts), is_cut=len(whole) > most)))


def _text(block: Mapping[str, Any]) -> str:
    part = block.get("resource", block)
    text = part.get("text") if isinstance(part, dict) else None
    return text if isinstance(text, str) else ""


def _notes(answer: FilledPrompt, taken: int, *, is_cut: bool) -> list[str]:
    notes = []
    if lost := len(answer.messages) - taken:
        words = ngettext(
            "%(count)s part of the prompt could not be taken over: it is no text, or the "
            "assistant's.",
            "%(count)s parts of the prompt could not be taken over: they are no text, or the "
            "assistant's.",
            lost,
        )
        notes.append(words % {"count": lost})
    if is_cut:
        notes.append(_("The prompt is longer than a message may be, and was cut."))
    return notes
