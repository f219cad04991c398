"""A conversation's rows as the messages that a model is sent."""

import re
from collections.abc import Iterable
from hashlib import sha256
from itertools import groupby
from typing import Any

from django.db.models import prefetch_related_objects

from automate.conf import Settings

from .models import Conversation, Message, ToolCall

ModelMessage = dict[str, Any]

# What OpenAI itself accepts. Other servers write longer ids and stranger names, and the history
# of a conversation must also be good for the model that the site takes next.
_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_NO_NAME_CHARACTER = re.compile(r"[^A-Za-z0-9_-]")
_NAME_CHARACTERS = 64


def model_messages(conversation: Conversation, settings: Settings) -> list[ModelMessage]:
    """The system prompt and the conversation so far, in a form that every API takes.

    Each call has exactly one answer, whatever became of it. Where the history is too long, its
    oldest turns are left out whole, never the newest.
    """
    rows = list(conversation.messages.order_by("pk"))
    prefetch_related_objects([row for row in rows if row.role != Message.Role.USER], "tool_calls")
    turns = [
        [entry for row in turn_rows for entry in _entries(row)]
        for _turn_id, turn_rows in groupby(rows, key=lambda row: row.turn_id)
    ]
    kept: list[list[ModelMessage]] = []
    size = 0
    for entries in reversed(turns):
        size += sum(map(_size, entries))
        if kept and size > settings.MAX_HISTORY_CHARACTERS:
            break
        kept.append(entries)
    history = [entry for entries in reversed(kept) for entry in entries]
    # The prompt may be a lazy translation.
    return [{"role": "system", "content": str(settings.SYSTEM_PROMPT)}, *history]


def assistant_entry(text: str, calls: Iterable[ToolCall]) -> ModelMessage:
    """An answer of the model, with the calls that it asked for."""
    entry: ModelMessage = {"role": "assistant", "content": text or None}
    tool_calls = [
        {
            "id": _id(call),
            "type": "function",
            "function": {"name": _name(call), "arguments": call.arguments_text},
        }
        for call in calls
    ]
    if tool_calls:
        entry["tool_calls"] = tool_calls
    return entry


def tool_entry(call: ToolCall) -> ModelMessage:
    """The answer to one call."""
    return {"role": "tool", "tool_call_id": _id(call), "content": _answer(call)}


def _entries(message: Message) -> list[ModelMessage]:
    if message.role == Message.Role.USER:
        return [{"role": "user", "content": message.content}]
    calls = list(message.tool_calls.all())
    if not calls and (message.interrupted or not message.content):
        # Half an answer: the model is asked again, and does not read its own broken start.
        return []
    return [assistant_entry(message.content, calls), *map(tool_entry, calls)]


def _answer(call: ToolCall) -> str:
    if call.status == ToolCall.Status.SUCCEEDED:
        return f"{call.result_text}\n[{call.warning}]" if call.warning else call.result_text
    if call.status == ToolCall.Status.FAILED and call.result_text:
        return f"The tool failed: {call.result_text}"
    return f"Error: {call.error or 'this call has no answer yet.'}"


def _id(call: ToolCall) -> str:
    if _ID.fullmatch(call.call_id):
        return call.call_id
    return f"call_{sha256(call.call_id.encode()).hexdigest()[:24]}"


def _name(call: ToolCall) -> str:
    return _NO_NAME_CHARACTER.sub("_", call.function_name)[:_NAME_CHARACTERS] or "unnamed"


def _size(entry: ModelMessage) -> int:
    calls = entry.get("tool_calls", ())
    return len(entry["content"] or "") + sum(len(call["function"]["arguments"]) for call in calls)
