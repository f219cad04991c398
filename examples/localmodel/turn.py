"""One chat request, made ready for any chat template and any context size.

Templates differ: some know no tool role, some no system role, most want user and assistant
to alternate. A `ConstrainedTurn` keeps to what all of them take, fits it into the context, and
decides what may be written next. It is immutable: each way to try again is a new one.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .reply import ReplyDecoder
from .schema import reply_format, takes_nothing
from .tools import JSON, Call, Tool, describe, shortened

CHARACTERS_PER_TOKEN = 3
DEFAULT_MAX_TOKENS = 512
MAX_CALLS = 8
"""Calls in one turn, after which a small model that still wanders has to answer."""
PASSED_ON = ("frequency_penalty", "presence_penalty", "seed", "stop", "top_p")

INSTRUCTIONS = """\
Reply with one JSON object and nothing else.
To use a tool: {"tool": "its name", "arguments": {…}}
To answer: {"answer": "your text"}
Use a tool when the question needs its data or its action; otherwise answer. Never invent data.
"""
AFTER_RESULTS = (
    "If this is enough, give the answer in plain words, with its data. "
    "Use another tool only for what is still missing."
)


@dataclass(frozen=True, slots=True)
class ConstrainedTurn:
    """What to ask of the engine for one request, and how to read its reply."""

    messages: tuple[JSON, ...]
    tools: tuple[Tool, ...]
    options: JSON
    budget: int
    """Characters that the whole prompt may take."""
    answer: bool = True
    typed: bool = True
    banned: frozenset[str] = frozenset()
    """Tools that may not be called again in this turn."""

    @classmethod
    def from_request(cls, body: object, context: int) -> "ConstrainedTurn":
        """Read a chat-completions request for a model of `context` tokens.

        Raises `ValueError` with a sentence for the client.
        """
        if not isinstance(body, dict):
            raise ValueError("the request has to be a JSON object")
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise ValueError('"messages" has to be a list with at least one message')
        if not all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in messages):
            raise ValueError('each of "messages" has to be an object with a "role"')
        tools, answer = _chosen_tools(body)
        options: JSON = {name: body[name] for name in PASSED_ON if body.get(name) is not None}
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        options["max_tokens"] = limit if isinstance(limit, int) else DEFAULT_MAX_TOKENS
        temperature = body.get("temperature")
        options["temperature"] = 0.2 if temperature is None else temperature
        if not tools and isinstance(body.get("response_format"), dict):
            options["response_format"] = body["response_format"]
        turn = cls(tuple(messages), tools, options, context * CHARACTERS_PER_TOKEN, answer)
        made = turn.calls_made()
        if len(made) >= MAX_CALLS:
            return turn.answering()
        called = {call.name for call in made}
        certain = {tool.name for tool in tools if takes_nothing(tool) and tool.name in called}
        return replace(turn, banned=frozenset(certain))

    def engine_request(self) -> JSON:
        """The request for the engine, streamed and with its progress."""
        request: JSON = {
            "messages": self.engine_messages(),
            "stream": True,
            "return_progress": True,
            "stream_options": {"include_usage": True},
            "cache_prompt": True,
            "chat_template_kwargs": {"enable_thinking": False},
            **self.options,
        }
        if self.tools:
            allowed = [tool for tool in self.described() if tool.name not in self.banned]
            request["response_format"] = reply_format(allowed, answer=self.answer, typed=self.typed)
        return request

    def decoder(self) -> ReplyDecoder:
        """A reader for the engine's text."""
        return ReplyDecoder(constrained=bool(self.tools))

    def calls_made(self) -> list[Call]:
        """The calls since the user's last message."""
        start = self._current()
        return [call for message in self.messages[start:] for call in _calls(message)]

    def repeats(self, call: Call) -> bool:
        """The same call was made already, and its result stands in the messages."""
        return call.key in {made.key for made in self.calls_made()}

    def answering(self) -> "ConstrainedTurn":
        """This turn with nothing but an answer left.

        For a model that makes the same call again. With only that call forbidden it takes
        another tool instead, wanted or not: a small one was seen to place an order so.
        """
        return replace(self, banned=frozenset(tool.name for tool in self.tools))

    def untyped(self) -> "ConstrainedTurn | None":
        """This turn with arguments held to no schema; none if that changes nothing."""
        return replace(self, typed=False) if self.tools and self.typed else None

    def shortened(self, tokens: int, room: int) -> "ConstrainedTurn | None":
        """This turn cut from `tokens` to about `room` tokens; none if nothing can be cut."""
        before = self.engine_messages()
        length = sum(len(message["content"]) for message in before)
        shorter = replace(self, budget=int(length * room / tokens * 0.95))
        return shorter if shorter.engine_messages() != before else None

    def described(self) -> list[Tool]:
        """The tools whose description fits into half the budget.

        Those that share the most words with the user's last message go in first; the order
        stays that of the request.
        """
        sizes = [len(describe(tool)) for tool in self.tools]
        if sum(sizes) <= self.budget // 2:
            return list(self.tools)
        wanted = _words(_text(self.messages[self._current()]))
        ranked = sorted(
            range(len(self.tools)),
            key=lambda n: -len(wanted & _words(describe(self.tools[n]))),
        )
        left, chosen = self.budget // 2, set()
        for number in ranked:
            if sizes[number] <= left:
                left -= sizes[number]
                chosen.add(number)
        return [tool for number, tool in enumerate(self.tools) if number in chosen]

    def engine_messages(self) -> list[JSON]:
        """The messages as one system message, then user and assistant in turn, within budget."""
        system = [_text(m) for m in self.messages if m["role"] in ("system", "developer")]
        if self.tools:
            system.append(INSTRUCTIONS + "\nTools:\n" + "\n".join(map(describe, self.described())))
        head = [{"role": "system", "content": "\n\n".join(system)}] if any(system) else []
        past, present = self._spoken(0, self._current()), self._spoken(self._current(), None)
        left = self.budget - sum(len(text) for _, text in present)
        left -= sum(len(message["content"]) for message in head)
        while past and sum(len(text) for _, text in past) > left:
            del past[0]
        return head + _alternating(past + present)

    def _current(self) -> int:
        """Where the user's last message stands."""
        asked = [n for n, message in enumerate(self.messages) if message["role"] == "user"]
        return asked[-1] if asked else 0

    def _spoken(self, start: int, end: int | None) -> list[tuple[str, str]]:
        names = {
            call["id"]: call["function"]["name"]
            for message in self.messages
            for call in _raw_calls(message)
            if isinstance(call.get("id"), str)
        }
        spoken = []
        for message in self.messages[start:end]:
            text, role = _text(message), message["role"]
            if role in ("system", "developer"):
                continue
            if role in ("tool", "function"):
                name = names.get(str(message.get("tool_call_id")), "the tool")
                result = shortened(text, self.budget // 4)
                spoken.append(("user", f"Result of {name}:\n{result}"))
            elif role == "assistant":
                if text and self.tools:
                    text = json.dumps({"answer": text}, ensure_ascii=False)
                written = [text] if text else []
                written += [call.text for call in _calls(message)]
                spoken.append(("assistant", "\n".join(written)))
            else:
                spoken.append(("user", text))
        if end is None and self.tools and self.messages[-1]["role"] == "tool":
            spoken.append(("user", AFTER_RESULTS))
        return spoken


def _chosen_tools(body: JSON) -> tuple[tuple[Tool, ...], bool]:
    """The tools that the request leaves open, and whether a plain answer is allowed."""
    definitions = body.get("tools") or []
    if not isinstance(definitions, list):
        raise ValueError('"tools" has to be a list')
    tools = tuple(Tool.from_definition(definition) for definition in definitions)
    choice = body.get("tool_choice", "auto")
    if choice == "none":
        return (), True
    if isinstance(choice, dict):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        tools = tuple(tool for tool in tools if tool.name == name)
        if not tools:
            raise ValueError(f'"tool_choice" names {name!r}, which is not among "tools"')
        return tools, False
    return tools, choice != "required"


def _raw_calls(message: JSON) -> list[JSON]:
    calls = message.get("tool_calls")
    return [
        call
        for call in (calls if isinstance(calls, list) else [])
        if isinstance(call, dict)
        and isinstance(call.get("function"), dict)
        and isinstance(call["function"].get("name"), str)
    ]


def _calls(message: JSON) -> list[Call]:
    calls = []
    for call in _raw_calls(message):
        try:
            arguments = json.loads(call["function"].get("arguments") or "{}")
        except (TypeError, ValueError):
            arguments = {}
        arguments = arguments if isinstance(arguments, dict) else {}
        calls.append(Call(call["function"]["name"], arguments))
    return calls


def _text(message: JSON) -> str:
    """A message's text; `ValueError` for a part that is not text."""
    content = message.get("content")
    if content is None or isinstance(content, str):
        return content or ""
    parts = content if isinstance(content, list) else [content]
    if not all(isinstance(p, dict) and isinstance(p.get("text"), str) for p in parts):
        raise ValueError("this model reads text only; send no images, files or audio")
    return "".join(part["text"] for part in parts)


def _alternating(spoken: Sequence[tuple[str, str]]) -> list[JSON]:
    """Neighbours of one role joined, a user first and a user last."""
    messages: list[JSON] = []
    for role, text in spoken:
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += f"\n\n{text}"
        elif text:
            messages.append({"role": role, "content": text})
    if not messages or messages[0]["role"] == "assistant":
        messages.insert(0, {"role": "user", "content": "Go on."})
    if messages[-1]["role"] == "assistant":
        messages.append({"role": "user", "content": "Go on."})
    return messages


def _words(text: str) -> set[str]:
    """Words of three letters or more, without a plural's s."""
    return {word.rstrip("s") for word in re.findall(r"[^\W_]{3,}", text.lower())}
