"""What servers offer beside tools: resources to attach, and prompts that a person may choose.

Source: MCP 2026-07-28, server/resources and server/prompts.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, TypeVar

from .content import Block, checked_block, checked_blocks, named_type, plain_size, plain_uri
from .exceptions import ProtocolError, RPCError
from .redaction import redacted
from .strict_json import cleaned
from .text import clean_text
from .transports import jsonrpc
from .transports.base import Asking
from .transports.protocol import every_page, mapping
from .values import SkippedTool

MAX_OFFERINGS = 1_000
MAX_URI_BYTES = 1_000
MAX_NAME_CHARACTERS = 100
MAX_PROMPT_ARGUMENTS = 50
MAX_PROMPT_MESSAGES = 200
_MAX_TITLE_BYTES = 200
_MAX_DESCRIPTION_BYTES = 4 * 1024
_MAX_ARGUMENT_BYTES = 1_024
_ROLES = ("user", "assistant")


@dataclass(frozen=True, slots=True)
class Resource:
    """Data that a server can give; where `is_template` is true, `uri` is a template (RFC 6570)."""

    uri: str
    name: str
    title: str = ""
    description: str = ""
    mime_type: str = ""
    size: int | None = None
    is_template: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The resource in plain words."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PromptArgument:
    """A text that a prompt takes."""

    name: str
    title: str = ""
    description: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """A template for messages, which a person chooses to send."""

    name: str
    title: str = ""
    description: str = ""
    arguments: tuple[PromptArgument, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The prompt in plain words."""
        return {**asdict(self), "arguments": [asdict(each) for each in self.arguments]}


@dataclass(frozen=True, slots=True)
class Offerings:
    """Every resource and prompt of a server, cleaned, and what was left out of the lists.

    A list that the server does not declare is empty.
    """

    resources: tuple[Resource, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    skipped: tuple[SkippedTool, ...] = ()


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of a prompt; `content` is a checked content block."""

    role: Literal["user", "assistant"]
    content: Block


@dataclass(frozen=True, slots=True)
class FilledPrompt:
    """A prompt's messages, its arguments filled in."""

    messages: tuple[PromptMessage, ...]
    description: str = ""


class _Named(Protocol):
    @property
    def name(self) -> str: ...


Offering = TypeVar("Offering", bound=_Named)


class _Unusable(Exception):
    """Why an entry is left out of its list."""


def offerings_of(
    asking: Asking, declared: Collection[str], secrets: tuple[str, ...] = ()
) -> Offerings:
    """The lists that the server declares in its capabilities, all pages."""
    resources: list[Resource] = []
    prompts: list[Prompt] = []
    skipped: list[SkippedTool] = []
    if "resources" in declared:
        listed = _listed(asking, "resources/list", "resources", secrets)
        resources += _sorted_out("resource", listed, _resource, _address, skipped)
        listed = _listed(asking, "resources/templates/list", "resourceTemplates", secrets)
        resources += _sorted_out("resource template", listed, _template, _address, skipped)
    if "prompts" in declared:
        listed = _listed(asking, "prompts/list", "prompts", secrets)
        prompts += _sorted_out("prompt", listed, _prompt, lambda prompt: prompt.name, skipped)
    unique = {resource.uri: resource for resource in reversed(resources)}
    return Offerings(tuple(reversed(unique.values())), tuple(prompts), tuple(skipped))


def contents_of(asking: Asking, uri: str, secrets: tuple[str, ...] = ()) -> tuple[Block, ...]:
    """What a resource holds, as checked blocks of type `resource`.

    Raises:
        ProtocolError: the answer has no list of contents, or asks for more input.
    """
    contents = _complete(asking.ask("resources/read", {"uri": uri})).get("contents")
    if not isinstance(contents, list):
        raise ProtocolError("The server's answer to resources/read has no list of contents.")
    scrubbed = redacted(cleaned(contents), secrets)
    return checked_blocks(({"type": "resource", "resource": each} for each in scrubbed), secrets)


def filled_prompt(
    asking: Asking, name: str, arguments: Mapping[str, str], secrets: tuple[str, ...] = ()
) -> FilledPrompt:
    """A prompt's messages.

    Raises:
        ProtocolError: the answer has no messages, or one that is none, or asks for more input.
    """
    params = {"name": name, "arguments": dict(arguments)}
    result = redacted(cleaned(_complete(asking.ask("prompts/get", params))), secrets)
    messages = result.get("messages")
    if not isinstance(messages, list) or len(messages) > MAX_PROMPT_MESSAGES:
        raise ProtocolError("The server's answer to prompts/get has no usable list of messages.")
    return FilledPrompt(
        messages=tuple(_message(each, secrets) for each in messages),
        description=_text(result.get("description"), _MAX_DESCRIPTION_BYTES),
    )


def _complete(result: dict[str, Any]) -> dict[str, Any]:
    kind = result.get("resultType", "complete")
    if kind == "input_required":
        raise ProtocolError("The server asks for more input, which only a tool may do here.")
    if kind != "complete":
        raise ProtocolError("The server answered with an unknown type of result.")
    return result


def _message(message: object, secrets: tuple[str, ...]) -> PromptMessage:
    parts = mapping(message)
    role = parts.get("role")
    if role not in _ROLES:
        raise ProtocolError("A message of the server's prompt is of neither user nor assistant.")
    return PromptMessage(role, checked_block(parts.get("content"), secrets))


def _listed(asking: Asking, method: str, key: str, secrets: tuple[str, ...]) -> list[Any]:
    """Every entry; none where a server that has resources knows no templates."""

    def page(params: dict[str, Any]) -> dict[str, Any]:
        return _complete(asking.ask(method, params))

    try:
        entries = every_page(page, method, key)
    except RPCError as exc:
        if exc.code == jsonrpc.METHOD_NOT_FOUND and method == "resources/templates/list":
            return []
        raise
    scrubbed: list[Any] = redacted(cleaned(entries), secrets)
    return scrubbed


def _sorted_out(
    kind: str,
    entries: list[Any],
    read: Callable[[Mapping[str, Any]], Offering],
    identity: Callable[[Offering], str],
    skipped: list[SkippedTool],
) -> Iterable[Offering]:
    """The good entries, one for each identity; the others go to `skipped` with the reason."""
    good: dict[str, Offering] = {}
    for number, entry in enumerate(entries):
        if number == MAX_OFFERINGS:
            skipped.append(SkippedTool(f"{kind} …", f"there are more than {MAX_OFFERINGS:,}"))
            break
        try:
            offering = read(mapping(entry))
            if identity(offering) in good:
                raise _Unusable("another one is called the same")
        except _Unusable as exc:
            skipped.append(SkippedTool(f"{kind} number {number + 1}", str(exc)))
        else:
            good[identity(offering)] = offering
    return good.values()


def _address(resource: Resource) -> str:
    return resource.uri


def _resource(entry: Mapping[str, Any]) -> Resource:
    return _addressed(entry, "uri", is_template=False)


def _template(entry: Mapping[str, Any]) -> Resource:
    return _addressed(entry, "uriTemplate", is_template=True)


def _addressed(entry: Mapping[str, Any], key: str, *, is_template: bool) -> Resource:
    uri = plain_uri(entry.get(key))
    if not uri:
        raise _Unusable(f"its {key} is missing or malformed")
    if len(uri.encode()) > MAX_URI_BYTES:
        raise _Unusable(f"its {key} is longer than {MAX_URI_BYTES:,} bytes")
    return Resource(
        uri=uri,
        name=_text(entry.get("name"), _MAX_TITLE_BYTES) or uri[:MAX_NAME_CHARACTERS],
        title=_text(entry.get("title"), _MAX_TITLE_BYTES),
        description=_text(entry.get("description"), _MAX_DESCRIPTION_BYTES),
        mime_type=named_type(entry.get("mimeType")),
        size=plain_size(entry.get("size")),
        is_template=is_template,
    )


def _prompt(entry: Mapping[str, Any]) -> Prompt:
    arguments = entry.get("arguments")
    arguments = [] if arguments is None else arguments
    if not isinstance(arguments, list) or len(arguments) > MAX_PROMPT_ARGUMENTS:
        raise _Unusable(f"its arguments are no list of at most {MAX_PROMPT_ARGUMENTS}")
    read = tuple(_argument(mapping(each)) for each in arguments)
    if len({each.name for each in read}) < len(read):
        raise _Unusable("two of its arguments have the same name")
    return Prompt(
        name=_name(entry),
        title=_text(entry.get("title"), _MAX_TITLE_BYTES),
        description=_text(entry.get("description"), _MAX_DESCRIPTION_BYTES),
        arguments=read,
    )


def _argument(entry: Mapping[str, Any]) -> PromptArgument:
    return PromptArgument(
        name=_name(entry),
        title=_text(entry.get("title"), _MAX_TITLE_BYTES),
        description=_text(entry.get("description"), _MAX_ARGUMENT_BYTES),
        required=entry.get("required") is True,
    )


def _name(entry: Mapping[str, Any]) -> str:
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip():
        raise _Unusable("it, or an argument of it, has no name")
    hidden = not name.isprintable() or clean_text(name, 4 * MAX_NAME_CHARACTERS) != name
    if len(name) > MAX_NAME_CHARACTERS or hidden:
        raise _Unusable("its name, or an argument's, is too long or has hidden characters")
    return name


def _text(value: object, limit: int) -> str:
    return clean_text(value, limit) if isinstance(value, str) else ""
