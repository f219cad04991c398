"""Reads the stream of a turn, as a browser and its page do."""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import requests
from django.test import Client
from django.urls import reverse

from chat.models import Turn, TurnEvent

Kind = TurnEvent.Kind


@dataclass
class Event:
    """One event of a stream, as a browser has it."""

    kind: str
    data: dict[str, Any]
    id: str = ""


@dataclass
class Page:
    """What the page's own script makes of the events, in a few lines."""

    bodies: dict[int, str] = field(default_factory=dict)
    tails: dict[int, str] = field(default_factory=dict)
    articles: dict[int, str] = field(default_factory=dict)
    cards: dict[int, str] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        data = event.data
        if event.kind == Kind.TEXT:
            message = data["message"]
            if data.get("restart"):
                self.bodies[message] = ""
            self.bodies[message] += data.get("settled", "")
            if "append" in data:
                self.tails[message] += data["append"]
            else:
                self.tails[message] = data["tail"]
        elif event.kind == Kind.MESSAGE:
            self.articles[data["message"]] = data["html"]
        elif event.kind == Kind.CALL:
            self.cards[data["call"]] = data["html"]


class Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data


def words(html: str) -> str:
    """The text of some HTML, each run of white space one blank."""
    parser = Words()
    parser.feed(html)
    return " ".join(parser.text.split())


def events_in(chunks: Iterable[bytes]) -> Iterator[Event]:
    """The events of a stream. Source: WHATWG HTML, "Server-sent events"."""
    buffer = b""
    for chunk in chunks:
        buffer += chunk
        while b"\n\n" in buffer:
            block, buffer = buffer.split(b"\n\n", 1)
            lines = block.decode().split("\n")
            fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            if "data" in fields:
                yield Event(fields["event"], json.loads(fields["data"]), fields.get("id", ""))


def stream(person: Client, turn: Turn, **headers: Any) -> Any:
    return person.get(reverse("chat:events", args=[turn.pk]), headers=headers)


def read(person: Client, turn: Turn, **headers: Any) -> list[Event]:
    """The whole stream of a turn that is over."""
    return list(events_in(stream(person, turn, **headers).streaming_content))


def first_event(person: Client, turn: Turn, **headers: Any) -> Event:
    """The first event of a stream that is then let go."""
    answer = stream(person, turn, **headers)
    event = next(events_in(answer.streaming_content))
    answer.close()
    return event


class Browser:
    """Reads a stream from a real server, in a thread of its own."""

    def __init__(
        self, site: Any, client: Client, turn: Turn, last_event_id: str = "", timeout: float = 10
    ) -> None:
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        self.response = requests.get(
            site.url + reverse("chat:events", args=[turn.pk]),
            cookies={name: morsel.value for name, morsel in client.cookies.items()},
            headers=headers,
            stream=True,
            timeout=timeout,
        )
        self.events: list[Event] = []
        self.times: list[float] = []
        self.comments = 0
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def wait_for(self, count: int) -> list[Event]:
        """The first `count` events, once they are there."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.events) >= count, 10), self.events
            return self.events[:count]

    def wait_for_comments(self, count: int) -> None:
        """Until so many comments have come, which keep a silent stream open."""
        with self._news:
            assert self._news.wait_for(lambda: self.comments >= count, 10)

    def wait_for_end(self) -> list[Event]:
        self._thread.join(10)
        assert not self._thread.is_alive()
        self.response.close()
        return self.events

    def leave(self) -> None:
        """Cut the connection, as a closed tab does."""
        self.response.raw._fp.fp.raw._sock.shutdown(2)
        self.wait_for_end()

    def _counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        line = b""
        for piece in pieces:
            line = piece if line.endswith(b"\n") else line + piece
            if line.startswith(b":") and line.endswith(b"\n"):
                with self._news:
                    self.comments += 1
                    self._news.notify_all()
            yield piece

    def _read(self) -> None:
        try:
            for event in events_in(self._counted(self.response.iter_content(1))):
                with self._news:
                    self.events.append(event)
                    self.times.append(time.monotonic())
                    self._news.notify_all()
        except Exception:  # noqa: S110 # the test cut it
            pass
