"""The messages of a request, seen as one question with what was done about it so far."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_ASKED = re.compile(r"Before I can use `([^`]+)`, I need")


@dataclass(frozen=True)
class Call:
    """A tool call that was made, and its answer as the tool message has it."""

    name: str
    arguments: Mapping[str, Any]
    answer: str | None


@dataclass
class Exchange:
    """The newest question, the answers to what was asked back, and the calls made for it.

    `new_calls` are those since the person last wrote, `rounds` the model's own messages with
    calls since then. `asked_about` is the tool that an answer is for; `earlier_tool` was used
    for the question before.
    """

    texts: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    new_calls: list[Call] = field(default_factory=list)
    rounds: int = 0
    asked_about: str = ""
    earlier_tool: str = ""


def asking(tool_name: str) -> str:
    """How a sentence begins that asks for arguments; `read_exchange` knows it again."""
    return f"Before I can use `{tool_name}`, I need"


def read_exchange(messages: Sequence[Mapping[str, Any]]) -> Exchange:
    """Find the newest question in a conversation, and everything that belongs to it."""
    exchange = Exchange()
    newest = _last_user(messages, len(messages))
    if newest is None:
        return exchange
    first = newest
    exchange.texts = [message_text(messages[newest])]
    while (asked := _asked_before(messages, first)) and len(exchange.texts) < 6:
        earlier = _last_user(messages, first)
        if earlier is None:
            break
        exchange.asked_about = exchange.asked_about or asked
        exchange.texts.insert(0, message_text(messages[earlier]))
        first = earlier
    exchange.calls = _calls(messages[first:])
    exchange.new_calls = _calls(messages[newest:])
    exchange.rounds = sum(bool(_tool_calls(each)) for each in messages[newest:])
    earlier_calls = _calls(messages[:first])
    exchange.earlier_tool = earlier_calls[-1].name if earlier_calls else ""
    return exchange


def message_text(message: Mapping[str, Any]) -> str:
    """A message's text, whether it is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _last_user(messages: Sequence[Mapping[str, Any]], end: int) -> int | None:
    return next((n for n in range(end - 1, -1, -1) if messages[n].get("role") == "user"), None)


def _asked_before(messages: Sequence[Mapping[str, Any]], index: int) -> str:
    if index and messages[index - 1].get("role") == "assistant":
        match = _ASKED.search(message_text(messages[index - 1]))
        return match[1] if match else ""
    return ""


def _tool_calls(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = message.get("tool_calls")
    if message.get("role") != "assistant" or not isinstance(listed, list):
        return []
    return [each for each in listed if isinstance(each, Mapping)]


def _calls(messages: Sequence[Mapping[str, Any]]) -> list[Call]:
    answers = {
        message.get("tool_call_id"): message_text(message)
        for message in messages
        if message.get("role") == "tool"
    }
    found = []
    for message in messages:
        for each in _tool_calls(message):
            function = each.get("function")
            if isinstance(function, Mapping) and isinstance(function.get("name"), str):
                arguments = _arguments(function.get("arguments"))
                found.append(Call(function["name"], arguments, answers.get(each.get("id"))))
    return found


def _arguments(text: object) -> Mapping[str, Any]:
    try:
        parsed = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
