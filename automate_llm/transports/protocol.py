"""What MCP says whichever way its messages travel: versions, pages, results, progress."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from automate_llm import __version__, strict_json
from automate_llm.exceptions import LimitExceeded, ProtocolError
from automate_llm.text import clean_text
from automate_llm.values import Connection, OnProgress, Progress, ToolResult

from . import jsonrpc
from .base import Listing

MODERN_VERSIONS = ("2026-07-28",)
HANDSHAKE_VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
MODERN_ERRORS = {
    jsonrpc.HEADER_MISMATCH,
    jsonrpc.MISSING_CLIENT_CAPABILITY,
    jsonrpc.UNSUPPORTED_PROTOCOL_VERSION,
}

MAX_PAGES = 50
MAX_TOOLS = 1_000
_MAX_CURSOR_CHARACTERS = 4_096
_MAX_PROGRESS_BYTES = 200
MAX_TTL_SECONDS = 7 * 24 * 3600.0
KNOWN_CAPABILITIES = ("prompts", "resources", "tools")
_META = "io.modelcontextprotocol/"
_MODES: dict[str, Any] = {"form": {}, "url": {}}
_CAPABILITIES: dict[str, Any] = {"extensions": {_META + "tasks": {}}}
_ASKING_CAPABILITIES = {**_CAPABILITIES, "elicitation": _MODES}
_CLIENT_INFO = {"name": "django-automate", "version": __version__}


def initialize_params(*, asks: bool = False) -> dict[str, Any]:
    """The parameters of `initialize` (2025-11-25, basic/lifecycle).

    The only capability that may be offered is that a person answers what the server asks.
    """
    return {
        "protocolVersion": HANDSHAKE_VERSIONS[0],
        "capabilities": {"elicitation": _MODES} if asks else {},
        "clientInfo": _CLIENT_INFO,
    }


def notice_change(connection: Connection, version: str, error_code: int | None = None) -> None:
    """Say that the server has changed where an answer shows it: in this version, or this error."""
    known = connection.protocol_version
    changed = error_code == jsonrpc.HEADER_MISMATCH or (known and version and version != known)
    if changed and connection.on_change is not None:
        connection.on_change()


def agreed_version(about: Mapping[str, Any]) -> str:
    """The version that the result of `initialize` settles.

    Raises:
        ProtocolError: it is none that this client knows.
    """
    version = about.get("protocolVersion")
    if version not in HANDSHAKE_VERSIONS:
        raise _no_version()
    return str(version)


def mutual_version(offered: object) -> str:
    """The newest version in the server's list that this client knows.

    Raises:
        ProtocolError: there is none.
    """
    for version in MODERN_VERSIONS + HANDSHAKE_VERSIONS:
        if isinstance(offered, list) and version in offered:
            return version
    raise _no_version()


def supported_version(response: jsonrpc.Response) -> str | None:
    """The version that an answer to `server/discover` settles; none where a handshake must.

    Some servers of before answer any method with some result: without a list of versions it is
    none of this method. Source: MCP 2026-07-28, basic/versioning.

    Raises:
        ProtocolError: the server speaks no version that this client knows.
    """
    if response.result is not None:
        offered = response.result.get("supportedVersions")
        return mutual_version(offered) if isinstance(offered, list) else None
    if response.error_code in MODERN_ERRORS:
        return mutual_version(mapping(response.error_data).get("supported"))
    return None


def with_meta(params: dict[str, Any], version: str, *, asks: bool = False) -> dict[str, Any]:
    """Parameters with the `_meta` that every modern request carries (2026-07-28, basic/index)."""
    meta = {
        _META + "protocolVersion": version,
        _META + "clientInfo": _CLIENT_INFO,
        _META + "clientCapabilities": _ASKING_CAPABILITIES if asks else _CAPABILITIES,
    }
    return {**params, "_meta": {**params.get("_meta", {}), **meta}}


def with_progress_token(params: dict[str, Any], token: int) -> dict[str, Any]:
    """Parameters that ask for progress (2026-07-28, basic/patterns/progress)."""
    return {**params, "_meta": {**params.get("_meta", {}), "progressToken": token}}


def progress_to(on_progress: OnProgress, token: int) -> jsonrpc.OnNotification:
    """Hands the notifications of this call's progress over, and no others."""

    def on_notification(method: str, params: dict[str, Any]) -> None:
        progress, total = params.get("progress"), params.get("total")
        if method != "notifications/progress" or params.get("progressToken") != token:
            return
        if isinstance(progress, int | float) and strict_json.storable(params):
            on_progress(
                Progress(
                    progress=progress,
                    total=total if isinstance(total, int | float) else None,
                    message=clean_text(text(params.get("message")), _MAX_PROGRESS_BYTES),
                )
            )

    return on_notification


def subscription_params() -> dict[str, Any]:
    """Parameters of `subscriptions/listen` for every list (2026-07-28, basic/patterns)."""
    kinds = ("tools", "prompts", "resources")
    return {"notifications": {f"{kind}ListChanged": True for kind in kinds}}


def noting_subscription(
    on_notification: jsonrpc.OnNotification, on_open: Callable[[], object]
) -> jsonrpc.OnNotification:
    """Tells the word that a subscription has begun from those that come over it."""

    def noting(method: str, params: dict[str, Any]) -> None:
        if method == "notifications/subscriptions/acknowledged":
            on_open()
        else:
            on_notification(method, params)

    return noting


def every_page(
    ask: Callable[[dict[str, Any]], Mapping[str, Any]],
    method: str = "tools/list",
    key: str = "tools",
) -> list[Any]:
    """All pages of a list; `ask` takes the method's parameters and gives its result.

    Raises:
        ProtocolError: a page is no list, or its cursor leads nowhere.
        LimitExceeded: there are more than 50 pages.
    """
    items: list[Any] = []
    seen: set[str] = set()
    cursor: str | None = None
    for _page in range(MAX_PAGES):
        result = ask({"cursor": cursor} if cursor is not None else {})
        page = result.get(key)
        if not isinstance(page, list):
            raise ProtocolError(f'The server\'s answer to {method} has no list "{key}".')
        items += page
        cursor = result.get("nextCursor")
        if cursor is None or len(items) > MAX_TOOLS:
            return items
        if not isinstance(cursor, str) or len(cursor) > _MAX_CURSOR_CHARACTERS:
            raise ProtocolError(f"The server's answer to {method} has a malformed cursor.")
        if cursor in seen:
            raise ProtocolError(f"The server's {method} goes round in a circle.")
        seen.add(cursor)
    raise LimitExceeded(f"The server's {method} has more than {MAX_PAGES} pages.")


def listing_of(
    about: Mapping[str, Any],
    ask: Callable[[dict[str, Any]], Mapping[str, Any]],
    protocol: Literal["mcp", "rest", "sse"],
    version: str,
) -> Listing:
    """Every page of `tools/list` with what the server says of itself, of either era.

    `ask` takes the parameters of `tools/list` and gives its result. The list is fresh for as long
    as its first page to expire; where no page says, for as long as what was said before.
    """
    pages: list[Mapping[str, Any]] = []

    def noting(params: dict[str, Any]) -> Mapping[str, Any]:
        result = ask(params)
        pages.append({key: result[key] for key in ("ttlMs", "cacheScope") if key in result})
        return result

    tools = every_page(noting)
    lives = [live for page in pages if (live := _ttl(page)) is not None]
    listed = mapping(mapping(about.get("capabilities")).get("tools"))
    info = mapping(about.get("serverInfo") or mapping(about.get("_meta")).get(_META + "serverInfo"))
    return Listing(
        tools=tools,
        protocol=protocol,
        protocol_version=version,
        server_name=text(info.get("name")),
        server_version=text(info.get("version")),
        instructions=text(about.get("instructions")),
        capabilities=declared_capabilities(about),
        list_changed=listed.get("listChanged") is True,
        ttl=min(lives) if lives else _ttl(about),
        private=any(page.get("cacheScope") == "private" for page in pages),
    )


def declared_capabilities(about: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of what the server says it can do, such as `prompts`, in order."""
    capabilities = mapping(about.get("capabilities"))
    return tuple(sorted(name for name in KNOWN_CAPABILITIES if name in capabilities))


def tool_result(result: Mapping[str, Any]) -> ToolResult:
    """The result of `tools/call` as a value, its blocks still unchecked.

    Raises:
        ProtocolError: it is of a kind that this client does not know.
    """
    if result.get("resultType", "complete") != "complete":
        raise ProtocolError(
            "The server answered with an unknown type of result.", may_have_run=True
        )
    content = result.get("content", [])
    if not isinstance(content, list):
        raise ProtocolError("The tool's result has no list of content.", may_have_run=True)
    return ToolResult(
        content=tuple(content),
        structured=result.get("structuredContent"),
        has_structured="structuredContent" in result,
        is_error=result.get("isError") is True,
    )


def _ttl(result: Mapping[str, Any]) -> float | None:
    """For how many seconds a result is fresh, at most a week (server/utilities/caching)."""
    return seconds_of(result.get("ttlMs"), 0.0, MAX_TTL_SECONDS)


def seconds_of(milliseconds: object, least: float, most: float) -> float | None:
    """A number of milliseconds in seconds, within these bounds; none where it is no number."""
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool):
        return None
    if milliseconds != milliseconds:  # not a number, which JSON's readers let pass
        return None
    return min(max(milliseconds, least * 1000), most * 1000) / 1000


def mapping(value: object) -> Mapping[str, Any]:
    """The value where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: object) -> str:
    """The value where it is text, else none."""
    return value if isinstance(value, str) else ""


def _no_version() -> ProtocolError:
    return ProtocolError("The server speaks no protocol version that this client knows.")
