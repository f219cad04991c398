"""What every transport offers to the client."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from automate_llm.exchange import Exchange
from automate_llm.values import Progress, ToolResult

OnProgress = Callable[[Progress], object]


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

    def call_tool(
        self,
        exchange: Exchange,
        name: str,
        arguments: dict[str, Any],
        on_progress: OnProgress | None,
    ) -> ToolResult:
        """Call a tool. The request that runs it is sent at most once."""
        ...

    def asking(self, exchange: Exchange) -> AbstractContextManager[Asking]:
        """For what else the server may be asked, such as its resources and prompts.

        Raises:
            MCPClientError: servers of this dialect have nothing else.
        """
        ...
