"""A reply in the shapes of OpenAI's chat completions: whole, or in chunks."""

import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from .conversation import message_text
from .planning import Reply

JSON = dict[str, Any]

FRAGMENT = 24
"""Characters of a call's arguments that one chunk carries."""

WORDS_A_CHUNK = 3


def completion(reply: Reply, request: Mapping[str, Any], model: str) -> JSON:
    """The whole answer as one object."""
    message: JSON = {"role": "assistant", "content": reply.text or None}
    if reply.calls:
        message["tool_calls"] = _calls(reply)
    choice = {"index": 0, "message": message, "finish_reason": _reason(reply), "logprobs": None}
    head = _head("chat.completion", model)
    return head | {"choices": [choice], "usage": usage(reply, request)}


def chunks(reply: Reply, request: Mapping[str, Any], model: str) -> Iterator[tuple[JSON, int]]:
    """The answer's chunks, each with the number of words in it."""
    head = _head("chat.completion.chunk", model)
    counted = _wants_usage(request)
    if counted:
        head["usage"] = None

    def chunk(delta: JSON, reason: str | None = None) -> JSON:
        return head | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    yield chunk({"role": "assistant", "content": "" if reply.text else None}), 0
    for words in _spoken(reply.text):
        yield chunk({"content": words}), WORDS_A_CHUNK
    for index, call in enumerate(_calls(reply)):
        arguments = call["function"]["arguments"]
        function = {"name": call["function"]["name"], "arguments": ""}
        first = call | {"index": index, "function": function}
        yield chunk({"tool_calls": [first]}), 0
        for start in range(0, len(arguments), FRAGMENT):
            part = {"index": index, "function": {"arguments": arguments[start : start + FRAGMENT]}}
            yield chunk({"tool_calls": [part]}), 1
    yield chunk({}, _reason(reply)), 0
    if counted:
        yield head | {"choices": [], "usage": usage(reply, request)}, 0


def usage(reply: Reply, request: Mapping[str, Any]) -> JSON:
    """Tokens in and out, a word counted as one."""
    messages = [each for each in request["messages"] if isinstance(each, Mapping)]
    asked = sum(len(message_text(message).split()) for message in messages)
    asked += len(json.dumps(request.get("tools") or "").split())
    told = len(reply.text.split())
    told += sum(len(json.dumps(call.arguments).split()) + 1 for call in reply.calls)
    return {"prompt_tokens": asked, "completion_tokens": told, "total_tokens": asked + told}


def _wants_usage(request: Mapping[str, Any]) -> bool:
    options = request.get("stream_options")
    return isinstance(options, Mapping) and options.get("include_usage") is True


def _spoken(text: str) -> Iterator[str]:
    words = re.findall(r"\s*\S+(?:\s+$)?", text)
    for start in range(0, len(words), WORDS_A_CHUNK):
        yield "".join(words[start : start + WORDS_A_CHUNK])


def _calls(reply: Reply) -> list[JSON]:
    return [
        {
            "id": f"call_{uuid.uuid4().hex}",
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
        }
        for call in reply.calls
    ]


def _reason(reply: Reply) -> str:
    return "tool_calls" if reply.calls else "stop"


def _head(kind: str, model: str) -> JSON:
    now = int(time.time())
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": now, "model": model}
