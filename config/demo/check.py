"""One whole turn with a tool call, over real HTTP, as a visitor's browser has it."""

import html
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from django.urls import reverse

from .model import Model

TIMEOUT = (5, 90)
"""Seconds for a connection, and for the next piece of an answer."""

# The blue mugs that a new examples/shop_server.py has, one by one and all together.
STOCK = {"42", "17"}
TOTAL_STOCK = "59"


class CheckFailed(Exception):
    """The demo did not do what it should; the message says what."""


class Visitor:
    """A browser without a screen: keeps cookies, fills in forms, reads a stream.

    Every method raises `CheckFailed` where the site does not do its part.
    """

    def __init__(self, address: str, browser: requests.Session) -> None:
        self.address = address
        self._browser = browser

    def get(self, path: str) -> requests.Response:
        """A page, after all redirects."""
        return self._answer("GET", path)

    def submit(self, page: requests.Response, path: str, **fields: str) -> requests.Response:
        """The page that follows a form of `page`, its hidden fields sent along."""
        hidden = {}
        for tag in re.findall(r"<input\b[^>]*>", page.text):
            attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
            if attributes.get("type") == "hidden" and "name" in attributes:
                hidden[attributes["name"]] = html.unescape(attributes.get("value", ""))
        return self._answer("POST", path, data=hidden | fields, headers={"Referer": page.url})

    def stream(self, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The kinds and data of a stream's events, until the site ends it."""
        headers = {"Accept": "text/event-stream"}
        kind = ""
        with self._answer("GET", path, headers=headers, stream=True) as response:
            try:
                for line in response.iter_lines():
                    name, _, value = line.decode().partition(": ")
                    if name == "event":
                        kind = value
                    elif name == "data":
                        yield kind, json.loads(value)
            except requests.RequestException as exc:
                raise CheckFailed(f"The stream broke off: {type(exc).__name__}.") from exc

    def _answer(self, method: str, path: str, **options: Any) -> requests.Response:
        url = urljoin(self.address, path)
        try:
            response = self._browser.request(method, url, timeout=TIMEOUT, **options)
        except requests.RequestException as exc:
            raise CheckFailed(f"{path} did not answer: {type(exc).__name__}.") from exc
        _expect(response.ok, f"{path} answered HTTP {response.status_code}.")
        return response


def check_one_turn(
    address: str, username: str, password: str, model: Model, prompt: str
) -> Iterator[str]:
    """Log in, send the prompt, read its stream to the end; yields each fact that was checked.

    A model that may be wrong must answer; whether it calls a tool and is right is not asked.

    Raises:
        CheckFailed: at the first fact that is none.
    """
    with requests.Session() as browser:
        visitor = Visitor(address, browser)

        login = visitor.get(reverse("chat:index"))
        _expect(reverse("login") in login.url, "A visitor is not asked to log in.")
        chat = visitor.submit(login, reverse("login"), username=username, password=password)
        _expect(reverse("chat:index") in chat.url, "The login was refused.")
        yield f"logged in as {username} by the form"

        if model.notice:
            for page in (login, chat, visitor.get(reverse("admin:index"))):
                path = urlsplit(page.url).path
                _expect(model.notice in html.unescape(page.text), f"{path} lacks the notice.")
            yield f"the pages say: {model.notice}"

        conversation = visitor.submit(chat, reverse("chat:send"), text=prompt)
        turn = re.search(r'id="turn-([0-9a-f-]{36})"', conversation.text)
        if turn is None:
            raise CheckFailed("The message began no turn.")
        yield f"sent {prompt!r}"

        events = list(visitor.stream(reverse("chat:events", args=[turn[1]])))
        kind, ending = events[-1] if events else ("", {})
        _expect(kind == "status", "The stream broke off.")
        _expect(
            ending["status"] == "done",
            f"The turn ended as {ending['words']!r}: {_words(ending['footer'])}",
        )
        yield f"read its stream to the end: {len(events)} events"

        answer = _answer_text(visitor.get(conversation.url).text)
        if model.may_be_wrong:
            _expect(bool(answer), "The answer is empty.")
            yield f"the answer, after a reload: {answer!r}"
            return

        cards = [data["html"] for kind, data in events if kind == "call"]
        _expect(any('data-status="succeeded"' in card for card in cards), "No tool call succeeded.")
        yield "a tool call succeeded"

        numbers = set(re.findall(r"\d+", answer))
        _expect(
            TOTAL_STOCK in numbers or numbers >= STOCK, f"The answer lacks the stock: {answer!r}."
        )
        yield f"the answer, after a reload, has the stock: {answer!r}"


def _answer_text(page: str) -> str:
    """What the assistant wrote on a conversation's page, without its tool calls."""
    bodies = re.findall(r'<div class="markdown" data-body>(.*?)<div class="calls"', page, re.DOTALL)
    return _words(" ".join(bodies))[:500]


def _words(fragment: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", fragment)).split())


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise CheckFailed(otherwise)
