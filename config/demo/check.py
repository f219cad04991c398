"""One whole turn with a tool call, as a visitor's browser has it, over real HTTP."""

import html
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import requests

CONNECT_AND_READ_SECONDS = (5, 90)
# The blue mugs of a fresh examples/shop_server.py, and all of them together.
STOCK = ("42", "17")
TOTAL_STOCK = "59"


class CheckFailed(Exception):
    """The demo did not do what it should; the message says what."""


def check_one_turn(address: str, username: str, password: str, prompt: str) -> Iterator[str]:
    """Log in, send the prompt, read its stream to the end; yields each fact that was checked.

    Raises:
        CheckFailed: at the first fact that is none.
    """
    with requests.Session() as browser:
        try:
            yield from _visit(browser, address, username, password, prompt)
        except requests.RequestException as exc:
            raise CheckFailed(f"The site did not answer: {type(exc).__name__}.") from exc


def _visit(
    browser: requests.Session, address: str, username: str, password: str, prompt: str
) -> Iterator[str]:
    login = _get(browser, address)
    _expect('name="password"' in login.text, "A visitor is not asked to log in.")
    credentials = {"username": username, "password": password}
    page = browser.post(
        login.url,
        data=_hidden_fields(login.text) | credentials,
        headers={"Referer": login.url},
        timeout=CONNECT_AND_READ_SECONDS,
    )
    _expect(page.ok and 'name="text"' in page.text, "The login did not lead to the chat.")
    yield f"logged in as {username} by the form"

    begun = browser.post(
        urljoin(page.url, "send/"),
        data=_hidden_fields(page.text) | {"text": prompt},
        headers={"HX-Request": "true", "HX-Current-URL": page.url, "Referer": page.url},
        timeout=CONNECT_AND_READ_SECONDS,
    )
    turn = re.search(r"/turns/[0-9a-f-]{36}/", begun.text)
    if not begun.ok or turn is None:
        raise CheckFailed(f"The message was not accepted: HTTP {begun.status_code}.")
    yield f"sent {prompt!r}"

    calls: dict[int, str] = {}
    messages: dict[int, str] = {}
    ending: dict[str, Any] = {}
    kinds = []
    for kind, data in _stream(browser, urljoin(page.url, turn.group().lstrip("/") + "events/")):
        kinds.append(kind)
        if kind == "call":
            calls[data["call"]] = data["html"]
        elif kind == "message":
            messages[data["message"]] = data["html"]
        elif kind == "status":
            ending = data
    _expect(bool(ending), "The stream broke off.")
    _expect(ending.get("status") == "done", f"The turn ended as {ending.get('words')!r}.")
    yield f"read the stream to its end: {len(kinds)} events"

    _expect(
        any('data-status="succeeded"' in card for card in calls.values()),
        "No tool call succeeded.",
    )
    yield "a tool call succeeded"

    answer = " ".join(_text(part) for part in messages.values())
    _expect(_names_the_stock(answer), f"The answer lacks the stock: {answer[:300]!r}.")
    yield f"the answer has the stock: {answer[:300]!r}"


def _get(browser: requests.Session, url: str) -> requests.Response:
    response = browser.get(url, timeout=CONNECT_AND_READ_SECONDS)
    _expect(response.ok, f"{url} answered HTTP {response.status_code}.")
    return response


def _stream(browser: requests.Session, url: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a stream. Source: WHATWG HTML, "Server-sent events"."""
    headers = {"Accept": "text/event-stream"}
    with browser.get(
        url, headers=headers, stream=True, timeout=CONNECT_AND_READ_SECONDS
    ) as response:
        _expect(response.ok, f"The stream answered HTTP {response.status_code}.")
        kind = ""
        for line in response.iter_lines():
            field, _, value = line.decode().partition(": ")
            if field == "event":
                kind = value
            elif field == "data":
                yield kind, json.loads(value)


def _hidden_fields(page: str) -> dict[str, str]:
    """The names and values of a page's hidden inputs."""
    fields = {}
    for tag in re.findall(r"<input\b[^>]*>", page):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if attributes.get("type") == "hidden" and "name" in attributes:
            fields[attributes["name"]] = html.unescape(attributes.get("value", ""))
    return fields


def _text(fragment: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", fragment)).split())


def _names_the_stock(answer: str) -> bool:
    numbers = set(re.findall(r"\d+", answer))
    return TOTAL_STOCK in numbers or numbers.issuperset(STOCK)


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise CheckFailed(otherwise)
