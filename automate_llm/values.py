"""The values that cross the library's border: frozen, and free of storage and wire objects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from .authentication import Authenticator

Protocols = Literal["auto", "mcp", "rest", "sse"]


@dataclass(frozen=True, slots=True)
class StdioCommand:
    """A command that is an MCP server on its standard streams; no shell ever sees it.

    `env` is added to the few variables that every command gets, `cwd` is empty for our own.
    `secrets` are the values in `env` that must never come back.
    """

    arguments: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Connection:
    """Where an MCP server is, and how it wants to be spoken to.

    `headers` carry the server's own credential and nothing else; they never show in a `repr`.
    `protocol_version` is what discovery settled (`2026-07-28`, `2025-11-25`, …), empty before.
    `timeout` is the one deadline of a call in seconds, everything included.
    `principal` says for whom the calls are made: a session that an older server opens is never
    shared between two principals. It is not sent.
    `private_hosts` are the `host` or `host:port` that may have a private address;
    `None` allows every private address (never a cloud's metadata service).
    `command` is what a server on standard streams is started by; only the site's settings name one.
    `authenticator` gives each request credentials of its own, such as an access token.
    `on_change` is called, in the call's own thread, where a call finds that the server is not what
    discovery settled any more: it speaks another version, or a tool has changed.
    """

    slug: str
    endpoint_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    protocol: Protocols = "auto"
    protocol_version: str = ""
    timeout: float = 30.0
    private_hosts: frozenset[str] | None = frozenset()
    principal: str = ""
    command: StdioCommand | None = None
    authenticator: "Authenticator | None" = field(default=None, repr=False, compare=False)
    on_change: Callable[[], object] | None = field(default=None, repr=False, compare=False)

    def connection(self) -> "Connection":
        """Itself, so that a connection stands wherever something connectable may."""
        return self

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never come back in a result, an error or a log."""
        values = (value.removeprefix("Bearer ") for value in self.headers.values())
        own = tuple(value for value in values if len(value) >= 8)
        if self.command is not None:
            own += tuple(value for value in self.command.secrets if len(value) >= 8)
        return own + self.authenticator.secrets if self.authenticator is not None else own


class Connectable(Protocol):
    """Anything that can say where its MCP server is, such as an `MCPServer` row."""

    def connection(self) -> Connection: ...


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One tool as its server describes it, cleaned and within the limits.

    Source: MCP 2026-07-28, server/tools, "Tool".
    """

    name: str
    description: str
    input_schema: dict[str, Any]
    title: str = ""
    output_schema: dict[str, Any] | None = None
    annotations: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The tool in plain words, optional parts only where the server has them."""
        plain: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "input_schema": self.input_schema,
        }
        if self.title:
            plain["title"] = self.title
        if self.output_schema is not None:
            plain["output_schema"] = self.output_schema
        if self.annotations:
            plain["annotations"] = self.annotations
        return plain


@dataclass(frozen=True, slots=True)
class SkippedTool:
    """A tool that was left out of a list, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a server says of itself, and every tool it offers.

    `protocol` and `protocol_version` are what a later call must use. `digest` is a hash over
    the list as the server sent it: while it stays the same, so does everything in `tools`.
    `capabilities` are the ones of `prompts`, `resources` and `tools` that the server declares.
    `list_changed` says whether it tells who listens when its tools change. `ttl` is for how many
    seconds the list may be taken for fresh, `None` where the server does not say; a `private`
    list is for this account only.
    `unchanged` is true where the caller knew that digest already; `tools` and `skipped` are then
    left empty.
    """

    tools: tuple[ToolSpec, ...]
    skipped: tuple[SkippedTool, ...]
    digest: str
    protocol: Literal["mcp", "rest", "sse"]
    protocol_version: str = ""
    server_name: str = ""
    server_version: str = ""
    instructions: str = ""
    capabilities: tuple[str, ...] = ()
    list_changed: bool = False
    ttl: float | None = None
    private: bool = False
    unchanged: bool = False


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered.

    `content` are MCP content blocks (`text`, `image`, …), `structured` is `structuredContent`,
    meaningful only where `has_structured` is true, since `null` is a value too.
    Source: MCP 2026-07-28, server/tools, "Tool Result".
    """

    content: tuple[dict[str, Any], ...] = ()
    structured: Any = None
    has_structured: bool = False
    is_error: bool = False

    @property
    def text(self) -> str:
        """The text blocks, joined by line breaks."""
        return "\n".join(block["text"] for block in self.content if block.get("type") == "text")

    @property
    def value(self) -> Any:
        """The result as a plain Python value: structured content, else text, else the blocks.

        A block that could not be taken counts only where there is no other.
        """
        if self.has_structured:
            return self.structured
        taken = [block for block in self.content if block.get("type") != "unusable"]
        if all(block.get("type") == "text" for block in taken or self.content):
            return self.text
        return [dict(block) for block in self.content]

    def as_dict(self) -> dict[str, Any]:
        """Its fields by name. What they hold is not copied, which `asdict` does value by value."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class Progress:
    """A server's word on how far a call has come. Source: MCP, basic/patterns/progress."""

    progress: float
    total: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class InputRequest:
    """What a server wants to ask a person while a tool is being called.

    `form` has a `message` and a `schema`, of one object with plain fields; `url` has a `message`
    and an http or https address that only the person may open.
    Source: MCP 2026-07-28, client/elicitation.
    """

    mode: Literal["form", "url"]
    message: str
    schema: dict[str, Any] = field(default_factory=dict)
    url: str = ""

    @property
    def defaults(self) -> dict[str, Any]:
        """The values that the schema proposes, by field."""
        properties = self.schema.get("properties")
        named = properties.items() if isinstance(properties, dict) else ()
        return {
            name: part["default"]
            for name, part in named
            if isinstance(part, dict) and "default" in part
        }


@dataclass(frozen=True, slots=True)
class InputAnswer:
    """What a person answered; `content` are the form's fields, only of what was accepted."""

    action: Literal["accept", "decline", "cancel"]
    content: Mapping[str, Any] | None = None

    def as_result(self) -> dict[str, Any]:
        """The answer as the protocol writes it."""
        if self.action != "accept" or self.content is None:
            return {"action": self.action}
        return {"action": self.action, "content": dict(self.content)}


OnProgress = Callable[[Progress], object]
OnQuestion = Callable[[InputRequest], InputAnswer]
