"""From the bytes of a streamed chat completion to its text and its tool calls; pure, no I/O.

Servers differ in every detail of a streamed call, so little of what they say is believed: not
`finish_reason`, not that an `index` stands for one call, not that an `id` comes or is unique.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from automate_llm.exceptions import ModelStreamBroken, ModelUnavailable
from automate_llm.providers.base import Completed, RequestedCall, Usage

MAX_LINE_BYTES = 1_000_000
MAX_STREAM_BYTES = 64_000_000
MAX_ANSWER_CHARACTERS = 4_000_000
MAX_ARGUMENTS_CHARACTERS = 1_000_000
MAX_CALLS = 128
MAX_NAME_CHARACTERS = 200
MAX_ID_CHARACTERS = 200
_MAX_TOKENS = 2**31 - 1
_BUSY_TYPES = ("server_error", "overloaded", "rate_limit", "unavailable", "timeout")


_decoder = json.JSONDecoder()


class Lines:
    """Finds the content of each `data:` line, as soon as its line is complete.

    Each line is taken for an event of its own, since no server splits a chunk over two. Bytes
    that are no UTF-8 are replaced.
    """

    def __init__(self) -> None:
        self._pending: list[bytes] = []
        self._pending_size = self._total = 0

    def of(self, piece: bytes) -> Iterator[str]:
        """Of the lines that this piece ends.

        Raises:
            ModelStreamBroken: a line, or the whole stream, is longer than we accept.
        """
        self._total += len(piece)
        if self._total > MAX_STREAM_BYTES:
            raise _too_long()
        if b"\r" in piece:
            piece = piece.replace(b"\r", b"\n")
        complete = piece.split(b"\n")
        rest = complete.pop()
        if complete and self._pending:
            complete[0] = b"".join((*self._pending, complete[0]))
            self._pending, self._pending_size = [], 0
        if rest:
            self._pending.append(rest)
            self._pending_size += len(rest)
            if self._pending_size > MAX_LINE_BYTES:
                raise _too_long()
        for line in complete:
            if len(line) > MAX_LINE_BYTES:
                raise _too_long()
            if line.startswith(b"data:"):
                yield line[5:].decode("utf-8", "replace").strip()


def data_lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """The `data:` lines of a whole stream; a last one without its line end counts.

    Raises:
        ModelStreamBroken: as `Lines` does.
    """
    lines = Lines()
    for piece in pieces:
        yield from lines.of(piece)
    yield from lines.of(b"\n")


def _too_long() -> ModelStreamBroken:
    return ModelStreamBroken(
        "The model's answer was longer than this site accepts, so it was stopped. "
        "Ask for a shorter one."
    )


class _Call:
    """A tool call while its pieces arrive."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.size = 0
        self.repeats_its_name = False

    def is_complete(self) -> bool:
        """Whether the arguments so far are a whole JSON value."""
        try:
            json.loads("".join(self.arguments))
        except (ValueError, RecursionError):
            return False
        return True

    def ends_before(self, call_id: str, name: str, fragment: str) -> bool:
        """Whether a piece with these parts, at this call's place, begins another call.

        A server that repeats the name in each piece shows it in its second one, whose
        arguments are not yet complete; from then on its names say nothing.
        """
        same_id = bool(call_id) and call_id == self.id
        if call_id and self.id and not same_id:
            return True
        if not name or not self.name or self.repeats_its_name:
            return False
        if not self.size:
            return name != self.name and not same_id
        if not self.is_complete():
            self.repeats_its_name = True
            return False
        return name != self.name or (bool(fragment) and not same_id)

    def add(self, call_id: str, name: str, fragment: str) -> None:
        """Take over what this piece adds."""
        self.id = self.id or call_id
        self.name = self.name or name
        if fragment:
            self.arguments.append(fragment)
            self.size += len(fragment)
        if self.size > MAX_ARGUMENTS_CHARACTERS:
            raise _too_long()


class Assembly:
    """One answer while it streams: takes chunks in, and gives text and at last the whole."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: list[_Call] = []
        self._places: dict[object, _Call] = {}
        self._size = 0
        self._usage = Usage()
        self._finish_reason = ""
        self.done = False
        """Whether the server said `[DONE]`."""

    @property
    def finished(self) -> bool:
        """Whether the server said that the answer is over, in either of the two ways."""
        return self.done or bool(self._finish_reason)

    def add(self, data: str) -> str:
        """Take one event in; returns the text that it adds, mostly a word, often nothing.

        Raises:
            ModelStreamBroken: the event is no chunk, or the answer is larger than we accept.
            ModelUnavailable: the event is the server's word that it is too busy or failed.
        """
        if data == "[DONE]":
            self.done = True
            return ""
        if not data:
            return ""
        chunk = _parsed(data)
        if isinstance(usage := chunk.get("usage"), dict):
            self._usage = _usage(usage)
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return ""
        choice = choices[0]
        if isinstance(reason := choice.get("finish_reason"), str):
            self._finish_reason = reason or self._finish_reason
        delta = choice.get("delta")
        return self._add_delta(delta) if isinstance(delta, dict) else ""

    def completed(self, *, tools_dropped: bool = False) -> Completed:
        """The whole answer: what to do next is decided by its calls, not by `finish_reason`.

        Empty arguments become `{}`, except in the last call of an answer that was cut off: they
        may have been on their way, and half a call must not pass for a whole one.
        """
        truncated = self._finish_reason == "length"
        calls: list[RequestedCall] = []
        taken: set[str] = set()
        for call in self._calls:
            if not call.name:
                continue
            call_id = call.id if _is_usable_id(call.id) and call.id not in taken else _new_id()
            taken.add(call_id)
            arguments = _clean("".join(call.arguments))
            if not arguments.strip() and not (truncated and call is self._calls[-1]):
                arguments = "{}"
            name = _clean(call.name)[:MAX_NAME_CHARACTERS]
            calls.append(RequestedCall(call_id, name, arguments))
        return Completed(
            "".join(self._text), tuple(calls), self._usage, truncated, tools_dropped=tools_dropped
        )

    def _add_delta(self, delta: Mapping[str, Any]) -> str:
        if (parts := delta.get("tool_calls")) and isinstance(parts, list):
            for part in parts:
                if isinstance(part, dict):
                    self._add_call(part.get("index"), part.get("id"), part.get("function"))
        elif legacy := delta.get("function_call"):
            self._add_call(None, None, legacy)
        content = delta.get("content")
        if not content or not isinstance(content, str):
            return ""
        self._count(content)
        text = _clean(content)
        self._text.append(text)
        return text

    def _add_call(self, index: object, raw_id: object, raw_function: object) -> None:
        function = raw_function if isinstance(raw_function, dict) else {}
        call_id = raw_id if isinstance(raw_id, str) else ""
        name = function.get("name")
        name = name if isinstance(name, str) else ""
        fragment = function.get("arguments")
        if fragment is None:
            fragment = ""
        elif not isinstance(fragment, str):
            fragment = json.dumps(fragment)
        self._count(fragment)
        if isinstance(index, int):
            call = self._places.get(index)
        else:
            call = self._calls[-1] if self._calls else None
        if call is None or call.ends_before(call_id, name, fragment):
            call = self._open()
            if isinstance(index, int):
                self._places[index] = call
        call.add(call_id, name, fragment)

    def _open(self) -> _Call:
        if len(self._calls) >= MAX_CALLS:
            raise ModelStreamBroken(
                f"The model asked for more than {MAX_CALLS} tool calls at once, so it was "
                "stopped. Ask for less at a time."
            )
        call = _Call()
        self._calls.append(call)
        return call

    def _count(self, written: str) -> None:
        self._size += len(written)
        if self._size > MAX_ANSWER_CHARACTERS:
            raise _too_long()


def _parsed(data: str) -> Mapping[str, Any]:
    try:
        chunk, end = _decoder.raw_decode(data)  # `json.loads` looks for blanks around it, too
    except (ValueError, RecursionError):
        chunk, end = None, 0
    if end != len(data) or not isinstance(chunk, dict):
        raise ModelStreamBroken(
            "The model's server sent something that is no answer. Send the message again; "
            "if it happens again, an operator should look at that server's log."
        ) from None
    if chunk.get("error") or chunk.get("object") == "error":
        raise _reported(chunk.get("error") or chunk)
    return chunk


def _reported(error: object) -> ModelStreamBroken | ModelUnavailable:
    """The error that a server reports in the middle of its stream; its text is not shown."""
    facts = error if isinstance(error, dict) else {}
    code = facts.get("code")
    if isinstance(code, int):
        busy = code == 429 or code >= 500
    else:
        busy = any(word in f"{code} {facts.get('type')}" for word in _BUSY_TYPES)
    if busy:
        return ModelUnavailable(
            "The model's server failed while it wrote the answer. Try again in a moment; "
            "if it happens again, an operator should look at that server's log."
        )
    return ModelStreamBroken(
        "The model's server stopped with an error while it wrote the answer. Send the message "
        "again; if it happens again, an operator should look at that server's log."
    )


def _usage(counted: Mapping[str, Any]) -> Usage:
    details = counted.get("prompt_tokens_details")
    prompt = _tokens(counted.get("prompt_tokens"))
    cached = _tokens(details.get("cached_tokens")) if isinstance(details, dict) else 0
    return Usage(prompt, _tokens(counted.get("completion_tokens")), min(cached, prompt))


def _tokens(value: object) -> int:
    return min(max(value, 0), _MAX_TOKENS) if isinstance(value, int) else 0


def _is_usable_id(call_id: str) -> bool:
    return bool(call_id) and len(call_id) <= MAX_ID_CHARACTERS and call_id.isprintable()


def _new_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"


def _clean(text: str) -> str:
    """The text without what databases and sockets refuse: NUL and halves of surrogate pairs."""
    if "\0" in text:
        text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class StreamedAnswer:
    """An answer from the bytes of its stream."""

    def __init__(self) -> None:
        self.assembly = Assembly()
        self.has_begun = False
        """Whether an event has come."""
        self._lines = Lines()

    def texts(self, piece: bytes) -> Iterator[str]:
        """The texts that this piece adds; what follows `[DONE]` is no part of the answer.

        Raises:
            ModelStreamBroken, ModelUnavailable: as `Assembly.add` and `Lines.of` do.
        """
        add = self.assembly.add
        for data in self._lines.of(piece):
            self.has_begun = True
            if text := add(data):
                yield text
            if self.assembly.done:
                return
