"""What every transport offers to the client."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from automate_llm.exchange import Exchange
from automate_llm.values import InputAnswer, OnProgress, OnQuestion, ToolResult


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool, as the caller means it.

    `input_schema` is the tool's own, which may want arguments mirrored in headers. `asks` says
    that the caller can deal with `InputRequired`; `input_responses`, `request_state` and `task_id`
    go on with a call that ended so. `on_question` answers what a server of the handshake versions
    asks while it holds the call. `trace_context` is W3C Trace Context: `traceparent`, and
    `tracestate` where there is one.
    """

    name: str
    arguments: dict[str, Any]
    on_progress: OnProgress | None = None
    input_schema: Mapping[str, Any] = field(default_factory=dict)
    asks: bool = False
    input_responses: Mapping[str, InputAnswer] | None = None
    request_state: str | None = None
    task_id: str = ""
    on_question: OnQuestion | None = None
    trace_context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """A server's word on itself and its tools, as it came."""

    tools: list[Any]
    protocol: Literal["mcp", "rest", "sse"]
    protocol_version: str = ""
    server_name: str = ""
    server_version: str = ""
    instructions: str = ""
    capabilities: tuple[str, ...] = ()
    list_changed: bool = False
    ttl: float | None = None
    private: bool = False


@dataclass(frozen=True, slots=True)
class Asking:
    """Requests that only read, made of one server while it is being asked.

    `about` gives what the server says of itself; `ask` takes a method with its parameters and
    gives the result.
    """

    about: Callable[[], Mapping[str, Any]]
    ask: Callable[[str, dict[str, Any]], dict[str, Any]]


class Transport(Protocol):
    """One way to one server."""

    def list_tools(self, exchange: Exchange) -> Listing:
        """Ask for every tool, all pages; read-only."""
        ...

    def call_tool(self, exchange: Exchange, call: ToolCall) -> ToolResult:
        """Call a tool. The request that runs it is sent at most once.

        Raises:
            InputRequired: a person must answer first.
        """
        ...

    def asking(self, exchange: Exchange) -> AbstractContextManager[Asking]:
        """For what else the server may be asked, such as its resources and prompts.

        Raises:
            MCPClientError: servers of this dialect have nothing else.
        """
        ...

    def listen(
        self,
        exchange: Exchange,
        on_notification: Callable[[str, dict[str, Any]], object],
        on_open: Callable[[], object],
    ) -> None:
        """Hand over what the server says unasked, until it ends the stream; read-only.

        Raises:
            MCPClientError: servers of this dialect say nothing unasked, or this one refuses.
        """
        ...
