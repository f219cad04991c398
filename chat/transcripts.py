"""A conversation as a text to keep: Markdown to read, or JSON for programs."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.utils.text import slugify
from django.utils.translation import gettext as _

from .models import Conversation, Message, ToolCall, Turn
from .rendering import visible_text
from .schema_fields import json_text

FORMS = {"markdown": ("text/markdown; charset=utf-8", "md"), "json": ("application/json", "json")}
"""The forms by their names in addresses: the type of the file, and the end of its name."""

_NAME_CHARACTERS = 60
_MARKS = re.compile(r"([\\`*_{}\[\]<>#|])")


def file_name(conversation: Conversation, form: str) -> str:
    """A name that says what it is, of letters, digits and dashes alone."""
    title = slugify(visible_text(str(conversation)), allow_unicode=True)[:_NAME_CHARACTERS]
    return f"{title.strip('-_') or 'conversation'}.{FORMS[form][1]}"


def transcript(conversation: Conversation, turns: Sequence[Turn], form: str) -> str:
    """These turns of it in one of `FORMS`."""
    if form == "json":
        return json.dumps(_as_object(conversation, turns), indent=2)
    return "\n\n".join(_as_markdown(conversation, turns)) + "\n"


def _as_object(conversation: Conversation, turns: Sequence[Turn]) -> dict[str, Any]:
    return {
        "id": str(conversation.pk),
        "title": conversation.title,
        "created_at": _time(conversation.created_at),
        "updated_at": _time(conversation.updated_at),
        "turns": [
            {
                "id": str(turn.pk),
                "status": turn.status,
                "notice": turn.notice,
                "model": turn.model,
                "created_at": _time(turn.created_at),
                "finished_at": _time(turn.finished_at),
                "messages": [_message_object(message) for message in turn.messages.all()],
            }
            for turn in turns
        ],
    }


def _message_object(message: Message) -> dict[str, Any]:
    return {
        "id": message.pk,
        "role": message.role,
        "content": message.content,
        "interrupted": message.interrupted,
        "created_at": _time(message.created_at),
        "attachments": [each.name for each in message.attachments.all()],
        "calls": [
            {
                "id": call.pk,
                "function": call.function_name,
                "title": call.title,
                "server": call.server_name,
                "status": call.status,
                "arguments": call.arguments,
                "arguments_text": call.arguments_text,
                "result": call.result_text,
                "error": call.error,
            }
            for call in message.tool_calls.all()
        ],
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _as_markdown(conversation: Conversation, turns: Sequence[Turn]) -> Iterator[str]:
    yield f"# {_line(str(conversation))}"
    for turn in turns:
        for message in turn.messages.all():
            yield f"## {_('You') if message.role == Message.Role.USER else _('Assistant')}"
            for each in message.attachments.all():
                yield f"- {_line(each.name)}"
            if message.content:
                yield visible_text(message.content).strip()
            if message.interrupted:
                yield f"*{_('The answer breaks off here.')}*"
            for call in message.tool_calls.all():
                yield from _call_as_markdown(call)
        if turn.notice:
            yield f"*{_line(turn.notice)}*"


def _call_as_markdown(call: ToolCall) -> Iterator[str]:
    name = " · ".join(filter(None, (call.title or call.function_name, call.server_name)))
    yield f"### {_line(name)}: {call.get_status_display()}"
    if call.arguments is not None:
        yield _fenced(json_text(call.arguments), "json")
    elif call.arguments_text:
        yield _fenced(call.arguments_text)
    if call.error:
        yield _fenced(call.error)
    if call.result_text:
        yield _fenced(call.result_text)


def _line(text: str) -> str:
    """Text in one line, with nothing in it that means something in Markdown."""
    return _MARKS.sub(r"\\\1", " ".join(visible_text(text).split()))


def _fenced(text: str, language: str = "") -> str:
    """Text between fences that are longer than any in it."""
    text = visible_text(text)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
