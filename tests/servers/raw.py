"""A peer that speaks raw bytes: every rule of HTTP may be kept or broken by a test's script."""

import json
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from .recording import Seen


class HungUp(Exception):
    """The client closed the connection, or the server is stopping; ends a script quietly."""


class RawConnection:
    """One accepted connection, as a script sees it."""

    def __init__(self, sock: socket.socket, server: "RawServer", number: int) -> None:
        self.number = number
        self.server = server
        self._socket = sock
        self._unread = b""

    def read_request(self) -> Seen:
        """The next request with its whole body; it is kept in `RawServer.requests` too.

        Raises:
            HungUp: the client sends no more.
        """
        head = self._read_until(b"\r\n\r\n").decode("latin-1")
        first, *lines = head.split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            before = headers.get(name.strip().lower())
            value = value.strip() if before is None else f"{before}, {value.strip()}"
            headers[name.strip().lower()] = value
        body = self._read(int(headers.get("content-length", 0)))
        method, path, _ = first.split(" ", 2)
        seen = Seen(method, path, headers, _json(body))
        self.server.requests.append(seen)
        return seen

    def send(self, data: bytes) -> None:
        """Send these bytes as they are.

        Raises:
            HungUp: nobody takes them any more.
        """
        try:
            self._socket.sendall(data)
        except OSError as exc:
            raise HungUp from exc

    def respond(
        self,
        body: bytes | str | object = b"",
        status: str = "200 OK",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a whole, correct answer; what is neither bytes nor text goes as JSON.

        `headers` are added, or replace `Content-Type` and `Content-Length`.
        """
        content_type = "application/json"
        if isinstance(body, str):
            body, content_type = body.encode(), "text/html; charset=utf-8"
        elif not isinstance(body, bytes):
            body = json.dumps(body).encode()
        fields = {"Content-Type": content_type, "Content-Length": str(len(body)), **(headers or {})}
        self.send(head(status, fields) + body)

    def drip(self, pieces: Iterable[bytes], seconds: float) -> None:
        """Send one piece after another with a pause between, until the server is stopped.

        Raises:
            HungUp: the client or the server ended it.
        """
        for piece in pieces:
            self.send(piece)
            if self.server.stopping.wait(seconds):
                raise HungUp

    def wait_for_end(self) -> None:
        """Stay silent until the client hangs up or the server is stopped."""
        try:
            while self._receive():
                pass
        except HungUp:
            return

    def close(self) -> None:
        """Close in the ordinary way: what was sent still arrives."""
        self._shut()

    def reset(self) -> None:
        """Close with a TCP reset, as a crashed peer does."""
        linger_zero = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
        self._socket.close()

    def _shut(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # it was closed already
            return

    def _read_until(self, end: bytes) -> bytes:
        while end not in self._unread:
            self._unread += self._receive()
        found, _, self._unread = self._unread.partition(end)
        return found

    def _read(self, length: int) -> bytes:
        while len(self._unread) < length:
            self._unread += self._receive()
        found, self._unread = self._unread[:length], self._unread[length:]
        return found

    def _receive(self) -> bytes:
        try:
            data = self._socket.recv(65536)
        except OSError as exc:
            raise HungUp from exc
        if not data:
            raise HungUp
        return data


Script = Callable[[RawConnection], object]


class RawServer:
    """Runs `script` for every connection, each in a thread, until `stop` or the end of `with`.

    `script` may be changed while it runs. A connection is closed when its script returns. What a
    script raises, `HungUp` apart, is raised again by `stop`.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Seen] = []
        self.connections: list[RawConnection] = []
        self.stopping = threading.Event()
        self._errors: list[Exception] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self._acceptor = threading.Thread(target=self._accept, name=f"raw server at {self.url}")
        self._acceptor.start()

    def stop(self) -> None:
        """Cut every connection, wait for the threads, and raise what a script raised.

        A second call does nothing.
        """
        if self.stopping.is_set():
            return
        self.stopping.set()
        try:
            # Wakes a blocked accept, which closing alone would not.
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:  # some systems refuse it; there a last connection does it
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._acceptor.join()
        self._listener.close()
        with self._lock:
            for connection in self.connections:
                connection._shut()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                accepted, _ = self._listener.accept()
            except OSError:  # stopped
                return
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = RawConnection(accepted, self, len(self.connections))
            thread = threading.Thread(
                target=self._run, args=(connection, accepted), name=f"raw connection to {self.url}"
            )
            with self._lock:
                self.connections.append(connection)
                self._threads.append(thread)
            thread.start()

    def _run(self, connection: RawConnection, accepted: socket.socket) -> None:
        with accepted:
            try:
                self.script(connection)
            except HungUp:
                return
            except Exception as exc:  # a failing script must fail its test: `stop` raises it
                self._errors.append(exc)


def head(status: str = "200 OK", headers: Mapping[str, str] | None = None) -> bytes:
    """A status line and headers, with the empty line that ends them."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of `Transfer-Encoding: chunked`; an empty one ends the body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
