"""A connection to a model's server that another thread can end at once.

Closing an HTTP response does not wake a thread that is blocked in `recv` on it, and before the
first byte there is no response to close. Shutting the socket down does both, so a line knows its
socket: it carries one request at a time, over one connection that it keeps.
"""

import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

import httpx2

from automate_llm.http_answer import FRAMING
from automate_llm.providers.connection import Connection, Headers, Request, Server
from automate_llm.providers.reader import Arrival

MAX_ERROR_BYTES = 64_000
_LINE = re.compile(rb"[\t\x20-\x7e\x80-\xff]+")
_KEPT_ERROR_HEADERS = ("content-type", "retry-after", "retry-after-ms", "x-should-retry")


class Interruption:
    """Ends one request from another thread: shuts its socket, and wakes it from a pause.

    Once the request is over it touches nothing, so a late `fire` cannot hit the next request
    on the same connection.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fired = threading.Event()
        self._socket: socket.socket | None = None

    @property
    def fired(self) -> bool:
        """Whether the request was to end."""
        return self._fired.is_set()

    def fire(self) -> None:
        """End the request now."""
        with self._lock:
            self._fired.set()
            self._shut()

    def hang_up(self) -> None:
        """Shut the socket, though nobody asked for the end of the request."""
        with self._lock:
            self._shut()

    def watch(self, connected: socket.socket | None) -> None:
        """Shut this socket when fired; at once if that has happened."""
        with self._lock:
            self._socket = connected
            if self._fired.is_set():
                self._shut()

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than until `fire`."""
        self._fired.wait(seconds)

    def _shut(self) -> None:
        if self._socket is None:
            return
        try:
            # Not the method of an SSLSocket: it would first take the TLS state away from the
            # thread that reads.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            return


@dataclass(frozen=True, slots=True)
class _Opening:
    """What all requests of a line begin with, and how long each of its waits may be."""

    server: Server
    head: bytes = field(repr=False)
    timeouts: Mapping[str, float | None]

    @classmethod
    def of(cls, request: httpx2.Request) -> "_Opening":
        url = request.url
        is_tls = url.scheme == "https"
        server = Server(
            url.raw_host.decode(), url.port or (443 if is_tls else 80), _tls() if is_tls else None
        )
        return cls(server, b"".join(_lines(request)), request.extensions.get("timeout", {}))

    def with_body(self, body: bytes) -> Request:
        return Request(self.head, b"Content-Length: %d\r\n\r\n" % len(body), body)


def _lines(request: httpx2.Request) -> Iterator[bytes]:
    """The request's line and its headers, but those that say how long its body is."""
    yield b"%b %b HTTP/1.1\r\n" % (request.method.encode(), request.url.raw_path)
    for name, value in request.headers.raw:
        if name.lower() in FRAMING:
            continue
        if not _LINE.fullmatch(line := b"%b: %b" % (name, value)):
            raise httpx2.LocalProtocolError("a header holds a character that none may have")
        yield line + b"\r\n"


class Answer(httpx2.SyncByteStream):
    """An answer whose head is read; its body is what it gives piece by piece."""

    def __init__(
        self, connection: Connection, status: int, headers: Headers, timeout: float | None
    ) -> None:
        self.connection = connection
        self.status = status
        self.headers = headers
        self._timeout = timeout

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def content_type(self) -> str:
        """In lower case; empty where the server did not say it."""
        found = (value for name, value in self.headers if name == b"content-type")
        return next(found, b"").decode("latin-1").lower()

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.connection.read(self._timeout):
            yield piece

    def close(self) -> None:
        """Part with it; the connection is closed unless all of it was read."""
        self.connection.done()


class Line(httpx2.BaseTransport):
    """The transport under one SDK client; knows no proxy or `.netrc` of the environment.

    The SDK makes the first request. What it wrote is sent again, by `repeat`, with other bodies.
    """

    answer: Answer
    """To the SDK's last request, where that was sent and not refused."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._socket: socket.socket | None = None
        self._interruption = Interruption()
        self._outcome: httpx2.Response | Exception | None = None
        self._opening: _Opening | None = None

    def answer_next(self, outcome: httpx2.Response | Exception) -> None:
        """Let the SDK's next request have this outcome, and not be sent."""
        self._outcome = outcome

    def carry(self, interruption: Interruption) -> None:
        """Let `interruption` end whatever is sent from now on."""
        self._interruption.watch(None)
        self._interruption = interruption
        interruption.watch(self._socket)

    def release(self) -> None:
        """Part with the current interruption: what it does later is of no effect here."""
        self.carry(Interruption())

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request of the SDK's."""
        if (outcome := self._outcome) is not None:
            self._outcome = None
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        self._opening = _Opening.of(request)
        answer = self._sent(self._opening, request.read())
        if not answer.is_success:
            return refusal(answer)
        self.answer = answer
        return httpx2.Response(answer.status, headers=answer.headers, stream=answer)

    def repeat(self, body: bytes) -> Answer | None:
        """Send what the SDK sent last with another body; nothing is sent where that was nothing.

        Raises:
            httpx2.TransportError: the server could not be reached, or did not answer.
        """
        return None if self._opening is None else self._sent(self._opening, body)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def connected(self, connection: socket.socket) -> None:
        """Let whatever interrupts the request shut this socket."""
        self._socket = connection
        self._interruption.watch(connection)

    def pause(self, seconds: float) -> None:
        """Wait so long, or until the request is interrupted."""
        self._interruption.pause(seconds)

    def await_turn(self, connection: socket.socket, timeout: float | None) -> None:
        """Wait for the head of the answer, by the process's reader."""
        Arrival(connection).wait(timeout)

    def _sent(self, opening: _Opening, body: bytes) -> Answer:
        timeouts = opening.timeouts
        connection = self._connected(opening)
        try:
            # A server that refuses a request may not have read all of it.
            with suppress(httpx2.WriteError):
                connection.send(opening.with_body(body), timeouts.get("write"))
            status, headers = connection.head(timeouts.get("read"))
        except BaseException:  # whatever it is, no other request may go over this connection
            connection.close()
            raise
        return Answer(connection, status, headers, timeouts.get("read"))

    def _connected(self, opening: _Opening) -> Connection:
        """The connection that is there, where it can be used again, or else a new one."""
        if (kept := self._connection) is not None:
            if kept.is_usable:
                return kept
            kept.close()
        self._connection = None
        self._connection = Connection.open(opening.server, opening.timeouts.get("connect"), self)
        return self._connection


def refusal(answer: Answer) -> httpx2.Response:
    """An error for the SDK. Its body is read here, and never more than 64 KB of it."""
    headers = httpx2.Headers(answer.headers)
    kept = {name: headers[name] for name in _KEPT_ERROR_HEADERS if name in headers}
    body = b""
    try:
        if "content-encoding" not in headers:
            for piece in answer:
                body += piece
                if len(body) > MAX_ERROR_BYTES:
                    break
    finally:
        answer.close()
    return httpx2.Response(answer.status, headers=kept, content=body[:MAX_ERROR_BYTES])


@cache
def _tls() -> ssl.SSLContext:
    # One for the process, as it takes 20 ms to read the certificates. `SSL_CERT_FILE` counts:
    # an authority that the operator names is no proxy and no login.
    context = httpx2.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
