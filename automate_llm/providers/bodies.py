"""The request for a streamed chat completion, as bytes; pure, no I/O."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from automate_llm.providers.base import Message, ModelConfig

_TOOL_OPTIONS = ("tool_choice", "parallel_tool_calls")


def body(config: ModelConfig, messages: Sequence[Message], tools: bytes) -> bytes:
    """The request as bytes; `tools` goes in as it is. An option that is `None` is not sent."""
    fields: dict[str, Any] = {
        "stream_options": {"include_usage": True},
        **config.options,
        "model": config.model,
        "messages": [_sendable(message) for message in messages],
        "stream": True,
    }
    for name in [name for name, value in fields.items() if value is None]:
        del fields[name]
    if not tools:
        for name in _TOOL_OPTIONS:
            fields.pop(name, None)
    written = json.dumps(fields, separators=(",", ":")).encode()
    return b'%b,"tools":%b}' % (written[:-1], tools) if tools else written


def _sendable(message: Message) -> Message:
    """The message, with `{}` for arguments that are no JSON object.

    Some servers answer 500 to every request whose history holds such a call (llama.cpp#25510);
    one broken call must not end the conversation for ever.
    """
    calls: Sequence[Mapping[str, Any]] = message.get("tool_calls") or ()
    if all(_is_object(call["function"]["arguments"]) for call in calls):
        return message
    mended = [
        call
        if _is_object(call["function"]["arguments"])
        else {**call, "function": {**call["function"], "arguments": "{}"}}
        for call in calls
    ]
    return {**message, "tool_calls": mended}


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return False
