"""A browser's part of a turn: sends a message, opens the stream of its turn, waits for text."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from .measuring import Sample, Stopwatch
from .site import person

_STREAM = re.compile(r'data-stream="([^"]+)"')
_CSRF = "benchmark" * 3 + "token"


class Browser:
    """Logged in, with one kept connection for pages and one for streams."""

    def __init__(self, pages: HTTPConnection, streams: HTTPConnection, cookie: str) -> None:
        self._pages, self._streams = pages, streams
        self._headers = {"Cookie": cookie, "X-CSRFToken": _CSRF, "HX-Request": "true"}

    def first_text(self, message: str) -> Sample:
        """The time from sending a message to the first text of its answer; waits for the end."""
        body = urlencode({"text": message, "submission": uuid4()})
        kind = "application/x-www-form-urlencoded"
        with Stopwatch() as taken:
            headers = {**self._headers, "Content-Type": kind}
            self._pages.request("POST", "/chat/send/", body, headers)
            page = _accepted(self._pages.getresponse()).read().decode()
            found = _STREAM.search(page)
            if found is None:
                raise RuntimeError("the page names no stream")
            self._streams.request("GET", found[1], headers=self._headers)
            events = _events(_accepted(self._streams.getresponse()))
            for kind, data in events:
                if kind == "text" and any(data.get(part) for part in ("tail", "append", "settled")):
                    break
            else:
                raise RuntimeError("the stream brought no text")
        for kind, data in events:
            if kind == "status" and data["status"] != "done":
                raise RuntimeError(f"the turn ended {data['status']}")
        return taken.sample


@contextmanager
def browser(address: str) -> Iterator[Browser]:
    """A browser in which the site's person is logged in."""
    user = person()
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    cookie = f"{settings.SESSION_COOKIE_NAME}={session.session_key}; csrftoken={_CSRF}"
    host = urlsplit(address).netloc
    pages, streams = HTTPConnection(host, timeout=30), HTTPConnection(host, timeout=30)
    try:
        yield Browser(pages, streams, cookie)
    finally:
        pages.close()
        streams.close()


def _accepted(response: HTTPResponse) -> HTTPResponse:
    if response.status != 200:
        raise RuntimeError(f"HTTP {response.status}: {response.read(300)!r}")
    return response


def _events(stream: HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    kind = ""
    for line in stream:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)
