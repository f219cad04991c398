"""Many browsers that each read the stream of a turn, in one thread."""

import json
import re
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from .model import now
from .site import Asked

_STAMP = re.compile(r"\b[0-9a-f]{8}\b")
OPENING_AT_ONCE = 32


class Browser:
    """One open stream, and what came of it."""

    def __init__(self, asked: Asked, connection: socket.socket) -> None:
        self.asked = asked
        self.connection = connection
        self.is_open = False
        self.status = ""
        self.words = 0
        self.delays: list[tuple[int, int]] = []
        self._last = 0
        self._pending = b""

    def take(self, piece: bytes) -> None:
        """Read what came; every word of a text is timed once."""
        came = now() & 0xFFFFFFFF
        *events, self._pending = (self._pending + piece).split(b"\n\n")
        for event in events:
            self.is_open = self.is_open or b"retry:" in event
            kind, data = _fields(event)
            if kind == b"text":
                self._time(json.loads(data), came)
            elif kind == b"message":
                self.words = len(set(_STAMP.findall(json.loads(data)["html"])))
            elif kind == b"status":
                self.status = json.loads(data)["status"]

    def _time(self, data: dict[str, str], came: int) -> None:
        text = data.get("settled", "") + " " + (data.get("append") or data.get("tail", ""))
        for word in _STAMP.findall(text):
            if (sent := int(word, 16)) > self._last:
                self._last = sent
                self.delays.append((sent, came - sent))


def _fields(event: bytes) -> tuple[bytes, bytes]:
    kind = data = b""
    for line in event.split(b"\n"):
        if line.startswith(b"event: "):
            kind = line[7:]
        elif line.startswith(b"data: "):
            data = line[6:]
    return kind, data


class Browsers:
    """Opens streams at one address, and reads them."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._address = parts.hostname or "", parts.port or 80
        self._host = parts.netloc
        self._epoll = select.epoll()
        self._open: dict[int, Browser] = {}
        self.all: list[Browser] = []

    def open(self, asked: Sequence[Asked], seconds: float = 120.0) -> None:
        """Open a stream for each of these turns; returns when all are open."""
        waiting = list(reversed(asked))
        started: list[Browser] = []
        end = time.monotonic() + seconds
        while waiting or not all(each.is_open for each in started):
            while waiting and sum(not each.is_open for each in started) < OPENING_AT_ONCE:
                started.append(self._start(waiting.pop()))
            self.read(0.1)
            if time.monotonic() > end:
                raise RuntimeError(
                    f"{sum(each.is_open for each in started)} streams opened in time"
                )

    def read_until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Read until `done`; false where it did not come in so many seconds."""
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                return False
            self.read(0.1)
        return True

    def read(self, seconds: float) -> None:
        """Read what is there, or comes in so many seconds."""
        for descriptor, _ in self._epoll.poll(seconds):
            browser = self._open[descriptor]
            try:
                piece = browser.connection.recv(262_144)
            except OSError:
                piece = b""
            if piece:
                browser.take(piece)
            else:
                self._close(descriptor)

    @property
    def still_open(self) -> int:
        """Streams that the site has not ended."""
        return len(self._open)

    def close(self) -> None:
        """Close every stream, as closed tabs do."""
        for descriptor in list(self._open):
            self._close(descriptor)
        self._epoll.close()

    def delays(self) -> Iterator[tuple[int, int]]:
        """Of every word: when the model sent it, and how long it took from there to the browser,
        in milliseconds.
        """
        for browser in self.all:
            yield from browser.delays

    def _start(self, asked: Asked) -> Browser:
        connection = socket.create_connection(self._address)
        connection.sendall(
            f"GET /chat/turns/{asked.turn_id}/events/ HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Cookie: {asked.cookie}\r\nAccept: text/event-stream\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        browser = Browser(asked, connection)
        self._epoll.register(connection, select.EPOLLIN)
        self._open[connection.fileno()] = browser
        self.all.append(browser)
        return browser

    def _close(self, descriptor: int) -> None:
        browser = self._open.pop(descriptor)
        self._epoll.unregister(descriptor)
        browser.connection.close()
