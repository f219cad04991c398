"""What the turn engine asks of a model, and what it gets back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from automate_llm.cancellation import Cancellation

Message = Mapping[str, Any]
"""One entry of OpenAI's `messages`: role, content, tool_calls, tool_call_id."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Which model to ask, and where.

    `api_key` is sent to `base_url` and to nowhere else; it never shows in a `repr`.
    `timeout` bounds the wait for each piece of the answer, `connect_timeout` the connection,
    both in seconds; the first piece of a local model may take long.
    `options` go into the request as they are (`temperature`, `max_completion_tokens`, …).
    """

    model: str
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    timeout: float = 120.0
    connect_timeout: float = 5.0
    max_retries: int = 2
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One request: the conversation so far, and the tools as a JSON array that is ready to send.

    `tools` is `b""` where the model gets no tools.
    """

    messages: Sequence[Message]
    tools: bytes = b""


@dataclass(frozen=True, slots=True)
class RequestedCall:
    """A tool call as the model wrote it: `arguments` is text, possibly no valid JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that the model's server counted; zero where it says nothing.

    `cached_tokens` are those of the prompt that it had from an earlier request.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text, as it arrives."""

    text: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The end of the answer: all text, all calls, in order. Always the last event.

    `tools_dropped` is true where the model's server refused tools and the answer was made
    without them. `truncated` is true where it stopped at a length limit.
    """

    text: str
    calls: tuple[RequestedCall, ...] = ()
    usage: Usage = Usage()
    truncated: bool = False
    tools_dropped: bool = False


ModelEvent = TextDelta | Completed

OnText = Callable[[str], object]
"""Is given the pieces of an answer's text, in order."""


class ModelProvider(Protocol):
    """One model that streams answers."""

    def stream(self, request: ModelRequest, cancellation: Cancellation) -> Iterator[ModelEvent]:
        """Yield text as it arrives, then one `Completed`.

        Raises:
            ModelError: in one of its four forms; the text yielded so far stays true.
        """
        ...

    def answer(
        self, request: ModelRequest, cancellation: Cancellation, on_text: OnText
    ) -> Completed:
        """Return the `Completed` of `stream`, and wake the caller's thread for nothing before.

        `on_text` is called in whichever thread has read the piece, one piece at a time, and never
        after the return. It must not wait for anything: other answers may come by that thread. What
        it raises ends this answer, and is raised here.

        Raises:
            ModelError: as `stream` does.
        """
        ...
