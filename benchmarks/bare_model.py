"""The openai SDK as its own documentation uses it, and nothing around it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from openai import OpenAI

MODEL = "scripted"
QUESTION = "How many blue mugs are in stock?"
Messages = list[dict[str, Any]]


@contextmanager
def client(base_url: str) -> Iterator[OpenAI]:
    """A client with a kept connection."""
    with OpenAI(base_url=base_url, api_key="none") as opened:
        yield opened


def streamed(client: OpenAI, messages: Messages, tools: list[Any]) -> Any:
    """One streamed request; gives the stream of chunks."""
    return client.chat.completions.create(  # type: ignore[call-overload]
        model=MODEL,
        messages=messages,
        tools=tools,
        stream=True,
        stream_options={"include_usage": True},
    )


def opening(system_prompt: str) -> Messages:
    """The messages of a first request."""
    return [
        {"role": "system", "content": system_prompt},
        {"role": "user", "content": QUESTION},
    ]


def conversation(client: OpenAI, system_prompt: str, tools: list[Any], answer: str) -> None:
    """Request after request until the model calls no tool; every call is told `answer`."""
    messages = opening(system_prompt)
    while True:
        text, calls = "", []
        for chunk in streamed(client, messages, tools):
            delta = chunk.choices[0].delta if chunk.choices else None
            if delta is not None and delta.content:
                text += delta.content
            for part in (delta.tool_calls if delta is not None else None) or ():
                if part.id:
                    function = {"name": part.function.name, "arguments": ""}
                    calls.append({"id": part.id, "type": "function", "function": function})
                calls[-1]["function"]["arguments"] += part.function.arguments or ""
        if not calls:
            return
        messages.append({"role": "assistant", "content": text or None, "tool_calls": calls})
        for call in calls:
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": answer})


def first_text(client: OpenAI, messages: Messages, tools: list[Any]) -> Any:
    """Ask, and read up to the first text; gives the stream, which goes on."""
    stream = streamed(client, messages, tools)
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            return stream
    raise RuntimeError("the model sent no text")
