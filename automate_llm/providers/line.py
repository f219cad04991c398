"""A connection to a model's server that another thread can end at once.

Closing an HTTP response does not wake a thread that is blocked in `recv` on it, and before the
first byte there is no response to close. Shutting the socket down does both, so a line knows its
socket: it carries one request at a time, over one connection that it keeps.
"""

import socket
import ssl
import threading
from collections.abc import Iterable
from functools import cache
from typing import cast

import httpcore2
import httpx2

from automate_llm.providers.merging import MergingBackend
from automate_llm.providers.reader import Arrival

MAX_ERROR_BYTES = 64_000
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


class Line(httpx2.HTTPTransport):
    """The transport under one SDK client; trusts no proxy or `.netrc` of the environment."""

    def __init__(self) -> None:
        limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=60)
        super().__init__(verify=_tls(), trust_env=False, limits=limits)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=_tls(),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=MergingBackend(self),
        )
        self._socket: socket.socket | None = None
        self._interruption = Interruption()
        self._outcome: httpx2.Response | Exception | None = None
        self.last_request: httpx2.Request | None = None

    def answer_next(self, outcome: httpx2.Response | Exception) -> None:
        """Let the next request have this outcome, and not be sent."""
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
        """Send one request. An error's body is read here, and never more than 64 KB of it."""
        if (outcome := self._outcome) is not None:
            self._outcome = None
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        self.last_request = request
        response = super().handle_request(request)
        if response.is_success:
            return response
        headers = response.headers
        kept = {name: headers[name] for name in _KEPT_ERROR_HEADERS if name in headers}
        body = b"" if "content-encoding" in headers else _first_bytes(response)
        response.close()
        return httpx2.Response(response.status_code, headers=kept, content=body)

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


@cache
def _tls() -> ssl.SSLContext:
    # One for the process, as it takes 20 ms to read the certificates. `SSL_CERT_FILE` counts:
    # an authority that the operator names is no proxy and no login.
    return httpx2.create_ssl_context()


def _first_bytes(response: httpx2.Response) -> bytes:
    body = b""
    for piece in cast(Iterable[bytes], response.stream):
        body += piece
        if len(body) > MAX_ERROR_BYTES:
            break
    return body[:MAX_ERROR_BYTES]
