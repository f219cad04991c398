"""The rules by which OpenAI's own API refuses a history; other servers forgive some of them."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")


def problems_of(messages: Sequence[dict[str, Any]]) -> list[str]:
    """Why these `messages` would be refused, each as a sentence; empty where they would not."""
    problems: list[str] = []
    unanswered: set[str] = set()
    for number, message in enumerate(messages):
        role, content = message["role"], message["content"]
        if role == "tool":
            if message["tool_call_id"] not in unanswered:
                problems.append(f"message {number} answers no call, or one that has its answer")
            unanswered.discard(message["tool_call_id"])
        elif unanswered:
            problems.append(f"message {number} comes before the answers to {unanswered}")
            unanswered = set()
        if not (isinstance(content, str) and content) and "tool_calls" not in message:
            problems.append(f"message {number} has no content")
        for call in message.get("tool_calls", ()):
            problems += [f"message {number}: {why}" for why in _problems_of_call(call, unanswered)]
            unanswered.add(call["id"])
    return problems + [f"no answer to {call_id}" for call_id in unanswered]


def _problems_of_call(call: dict[str, Any], earlier: set[str]) -> Iterator[str]:
    function = call["function"]
    if not _ID.fullmatch(call["id"]) or call["id"] in earlier:
        yield f"the id {call['id']!r} is too long, has odd characters or is there twice"
    if not _NAME.fullmatch(function["name"]):
        yield f"the name {function['name']!r} is too long or has odd characters"
    if not isinstance(json.loads(function["arguments"]), dict):
        yield "the arguments are no object"
