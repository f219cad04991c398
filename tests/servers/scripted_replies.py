"""What a scripted model is asked, and what it says, in OpenAI's wire format."""

import itertools
import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

_call_numbers = itertools.count(1)


@dataclass(frozen=True)
class Reply:
    """What goes over the wire for one request: events of a stream, or one plain body."""

    events: tuple[bytes, ...] = ()
    status: int = 200
    content_type: str = "text/event-stream"
    headers: tuple[tuple[str, str], ...] = ()
    held_by: threading.Event | None = None
    pace: threading.Semaphore | None = None
    delay: float = 0.0
    drop: bool = False

    def held(self, event: threading.Event) -> Self:
        """Send nothing, not even the status line, until `event` is set."""
        return replace(self, held_by=event)

    def paced(self, permits: threading.Semaphore) -> Self:
        """Take one permit before each event: `permits.release()` lets the next one out."""
        return replace(self, pace=permits)

    def delayed(self, seconds: float) -> Self:
        """Wait so long before each event; for benchmarks only."""
        return replace(self, delay=seconds)

    def drop_after(self, events: int) -> Self:
        """Cut the connection after so many events, without the end of the HTTP body."""
        return replace(self, events=self.events[:events], drop=True)


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    content: bytes

    @cached_property
    def body(self) -> dict[str, Any]:
        """The parsed JSON body; empty where there was none."""
        parsed: dict[str, Any] = json.loads(self.content) if self.content else {}
        return parsed

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation that the client sent."""
        found: list[dict[str, Any]] = self.body.get("messages", [])
        return found

    @property
    def tool_names(self) -> list[str]:
        """The functions that the client offered, in its order."""
        return [tool["function"]["name"] for tool in self.body.get("tools", [])]


def event(data: object) -> bytes:
    """One server-sent event: JSON of `data`, or `data` itself where it is text."""
    content = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return b"data: " + content.encode() + b"\n\n"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None) -> dict[str, Any]:
    """One chunk of a streamed answer with one choice."""
    return _chunk([{"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish}])


def usage_chunk(prompt_tokens: int = 12, completion_tokens: int = 34) -> dict[str, Any]:
    """The last chunk, which has no choice and counts the tokens."""
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
    return {**_chunk([]), "usage": usage}


def text(content: str, *, pieces: int | None = None, finish: str = "stop") -> Reply:
    """An answer of plain text, one event for each word, or cut into `pieces` events."""
    parts = content.split(" ") if pieces is None else _pieces(content, pieces)
    joiner = " " if pieces is None else ""
    deltas = [{"content": part if at == 0 else joiner + part} for at, part in enumerate(parts)]
    return _stream([{"role": "assistant", "content": ""}, *deltas], finish)


def calls(*wanted: tuple[str, object], content: str | None = None) -> Reply:
    """An answer that calls tools: pairs of a name and arguments (text is sent as it is)."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": content}]
    for index, (name, arguments) in enumerate(wanted):
        written = arguments if isinstance(arguments, str) else json.dumps(arguments)
        function = {"name": name, "arguments": ""}
        first = {"index": index, "id": f"call_{next(_call_numbers)}", "type": "function"}
        deltas.append({"tool_calls": [{**first, "function": function}]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": part}}]}
            for part in _pieces(written, -(-len(written) // 8))
        ]
    return _stream(deltas, "tool_calls")


def raw_chunks(chunks: Iterable[object], *, done: bool = True) -> Reply:
    """A stream of these chunks; bytes go over the wire as they are, all else as one event."""
    events = [each if isinstance(each, bytes) else event(each) for each in chunks]
    return Reply((*events, event("[DONE]")) if done else tuple(events))


def status(
    code: int, body: object = "", *, content_type: str = "application/json", **headers: str
) -> Reply:
    """A plain answer with this status; `retry_after="1"` becomes the header `retry-after`."""
    content = body if isinstance(body, str) else json.dumps(body)
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Reply((content.encode(),), code, content_type, named)


def silence(until: threading.Event, then: Reply | None = None) -> Reply:
    """No byte at all until the event is set, then `then` or a cut connection."""
    return (then or Reply(drop=True)).held(until)


def three_calls(arguments: object = None, tokens: int = 30) -> Callable[[Request], Reply]:
    """Three rounds that each call the first tool offered, then a text; keeps no state.

    The round is the number of tool messages after the last message of the user.
    """
    answer = text(words(tokens))

    def reply(request: Request) -> Reply:
        rounds = 0
        for message in reversed(request.messages):
            if message["role"] == "user":
                break
            rounds += message["role"] == "tool"
        if rounds >= 3 or not request.tool_names:
            return answer
        return calls((request.tool_names[0], arguments or {}))

    return reply


def _stream(deltas: list[dict[str, Any]], finish: str) -> Reply:
    written = sum("role" not in delta for delta in deltas)
    return raw_chunks([*map(chunk, deltas), chunk({}, finish), usage_chunk(12, written)])


def _chunk(choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "scripted",
        "system_fingerprint": "fp_scripted",
        "choices": choices,
        "usage": None,
    }


def _pieces(content: str, count: int) -> list[str]:
    size = max(1, -(-len(content) // max(1, count)))
    return [content[at : at + size] for at in range(0, len(content), size)]


def words(count: int) -> str:
    """A text of so many words."""
    words = ("seven", "blue", "mugs", "are", "in", "stock", "today,", "and", "more", "come")
    return " ".join(itertools.islice(itertools.cycle(words), count))
