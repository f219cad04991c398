"""Requests to authorization servers, through the same door as every other."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from automate_llm import strict_json
from automate_llm.exceptions import ProtocolError
from automate_llm.exchange import Exchange, running_no_tool
from automate_llm.http import send
from automate_llm.values import Connection

from .addresses import origin_url

MAX_DOCUMENT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Document:
    """An answer: `content` is its JSON object, or `None` where it has none."""

    status_code: int
    content_type: str
    headers: Mapping[str, str]
    content: dict[str, Any] | None


def get(connection: Connection, exchange: Exchange, url: str) -> Document:
    """Read a metadata document. `connection` is the MCP server's; no credential of it is sent."""
    return _asked(connection, exchange, "GET", url, {}, None)


def post_form(
    connection: Connection,
    exchange: Exchange,
    url: str,
    form: Mapping[str, str],
    headers: Mapping[str, str],
) -> Document:
    """Send a form. `connection` is the MCP server's; no credential of it is sent."""
    complete = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
    return _asked(connection, exchange, "POST", url, complete, urlencode(form).encode())


def post_json(
    connection: Connection, exchange: Exchange, url: str, content: Mapping[str, Any]
) -> Document:
    """Send a JSON object. `connection` is the MCP server's; no credential of it is sent."""
    headers = {"Content-Type": "application/json"}
    return _asked(connection, exchange, "POST", url, headers, strict_json.dumps(content))


def strings(value: object) -> tuple[str, ...] | None:
    """The texts in a list; `None` where it is no list."""
    if not isinstance(value, list):
        return None
    return tuple(item for item in value if isinstance(item, str))


def text(value: object) -> str:
    """The value where it is text, else nothing."""
    return value if isinstance(value, str) else ""


def _asked(
    connection: Connection,
    exchange: Exchange,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
) -> Document:
    elsewhere = replace(connection, endpoint_url=origin_url(url))  # a pool of its own
    complete = {"Accept": "application/json", "User-Agent": "django-automate", **headers}
    with (
        running_no_tool(),
        send(elsewhere, exchange, method, url, complete, body) as answer,
    ):
        return Document(
            answer.status_code, answer.content_type, answer.headers, _object(answer.read)
        )


def _object(read: Any) -> dict[str, Any] | None:
    data = read(MAX_DOCUMENT_BYTES)
    try:
        content = strict_json.loads(data)
    except ProtocolError:
        return None
    return content if isinstance(content, dict) else None
