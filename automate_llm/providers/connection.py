"""One connection to a model's server, which carries one request at a time.

Who waits for an answer may read it piece by piece, or leave it to `reader`, which takes what has
come without a wait.
"""

import socket
import ssl
import time
from typing import NamedTuple, Protocol

import httpx2

from automate_llm.http_answer import AnswerParser
from automate_llm.providers.crowd import crowd

KEPT_SECONDS = 60.0
"""How long a connection that nobody uses may be used again."""

_READ_BYTES = 16_384
_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

Headers = list[tuple[bytes, bytes]]


class Server(NamedTuple):
    """Where a connection goes."""

    host: str
    port: int
    tls: ssl.SSLContext | None


class Request:
    """The bytes of a request, which hold a key: no `repr`, logged with a frame, shows them."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = parts

    def view(self) -> memoryview:
        """All of them."""
        return memoryview(b"".join(self._parts))


class Ways(Protocol):
    """What a connection needs of those who know what it is for."""

    def pause(self, seconds: float) -> object:
        """Wait so long, or until a stop."""
        ...

    def connected(self, connection: socket.socket) -> None:
        """Be told the socket, and that of the TLS that begins on it."""
        ...

    def await_turn(self, connection: socket.socket, timeout: float | None) -> None:
        """Return when there is something to read, and not with a thousand others at once.

        Raises:
            httpx2.ReadTimeout: nothing came for so many seconds.
        """
        ...


class Connection:
    """An open connection; every wait raises `httpx2.TransportError` in its forms.

    While a body is under way, `read_now` may be used in place of `read`, and the other way round.
    """

    def __init__(self, connected: socket.socket, ways: Ways) -> None:
        self.socket = connected
        self._ways = ways
        self._answer = AnswerParser()
        self._answer.give_up()  # there is none yet
        self._free_until = 0.0

    @classmethod
    def open(cls, server: Server, timeout: float | None, ways: Ways) -> "Connection":
        """Connect.

        Raises:
            httpx2.ConnectError, httpx2.ConnectTimeout: as their names say.
        """
        try:
            connected = socket.create_connection((server.host, server.port), timeout)
        except TimeoutError as exc:
            raise httpx2.ConnectTimeout(str(exc)) from exc
        except (OSError, UnicodeError) as exc:
            raise httpx2.ConnectError(str(exc)) from exc
        try:
            ways.connected(connected)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if server.tls is not None:
                connected = server.tls.wrap_socket(
                    connected, server_hostname=server.host, do_handshake_on_connect=False
                )
                ways.connected(connected)
                connected.do_handshake()
        except TimeoutError as exc:
            connected.close()
            raise httpx2.ConnectTimeout(str(exc)) from exc
        except (OSError, ValueError) as exc:  # a ValueError for a host that TLS does not know
            connected.close()
            raise httpx2.ConnectError(str(exc)) from exc
        return cls(connected, ways)

    @property
    def is_usable(self) -> bool:
        """Whether another request may be sent: the last answer was read to its end, not too long
        ago, and nothing has come since then, not even the connection's end.
        """
        if time.monotonic() > self._free_until:
            return False
        try:
            self._wait_up_to(0)
            self.socket.recv(1)
        except _NOTHING_YET:
            return True
        except OSError:
            return False
        return False

    @property
    def in_body(self) -> bool:
        """Whether more of a body is to come."""
        return self._answer.has_head and not self._answer.is_over and not self._answer.problem

    def send(self, request: Request, timeout: float | None) -> None:
        """Send a whole request, each part within that time; its answer is read next."""
        self._answer, self._free_until = AnswerParser(), 0.0
        try:
            self._wait_up_to(timeout)
            left = request.view()
            while left:
                left = left[self.socket.send(left) :]
        except TimeoutError as exc:
            raise httpx2.WriteTimeout(str(exc)) from exc
        except OSError as exc:
            raise httpx2.WriteError(str(exc)) from exc

    def head(self, timeout: float | None) -> tuple[int, Headers]:
        """The status and the headers of the answer, whose names are in lower case."""
        answer = self._answer
        while not answer.has_head:
            self._raise_problem()
            answer.take(self._received_in_turn(timeout) if crowd.pause else self._received(timeout))
        return answer.status, answer.headers

    def read(self, timeout: float | None) -> bytes:
        """More of the body; nothing at its end."""
        answer = self._answer
        if not answer.pieces and self.in_body and (pause := crowd.pause):
            self._ways.pause(pause)
        while not answer.pieces and not answer.is_over:
            self._raise_problem()
            answer.take(self._received(timeout))
        return answer.taken()

    def read_now(self) -> tuple[bytes, bool]:
        """What is there of the body, without a wait, and whether more can be read so.

        It cannot where the body is over or broken, or the connection is lost: `read` then tells.
        """
        answer = self._answer
        if not answer.pieces:
            try:
                data = self.socket.recv(_READ_BYTES)
            except _NOTHING_YET:
                return b"", self.in_body
            except OSError:
                return b"", False
            answer.take(data)
        return answer.taken(), self.in_body

    def done(self) -> None:
        """The answer is read, or given up, which leaves the connection of no more use."""
        answer = self._answer
        answer.give_up()
        if answer.is_over and answer.keeps_connection and not answer.pieces:
            self._free_until = time.monotonic() + KEPT_SECONDS
        else:
            self.close()

    def close(self) -> None:
        """Close it."""
        self._free_until = 0.0
        self._answer.give_up()
        self.socket.close()

    def _raise_problem(self) -> None:
        if self._answer.problem:
            raise httpx2.RemoteProtocolError(self._answer.problem)

    def _wait_up_to(self, seconds: float | None) -> None:
        """What the socket does from now on; to tell it so is a call of the system each time."""
        if self.socket.gettimeout() != seconds:
            self.socket.settimeout(seconds)

    def _received(self, timeout: float | None) -> bytes:
        try:
            self._wait_up_to(timeout)
            return self.socket.recv(_READ_BYTES)
        except TimeoutError as exc:
            raise httpx2.ReadTimeout(str(exc)) from exc
        except OSError as exc:
            raise httpx2.ReadError(str(exc)) from exc

    def _received_in_turn(self, timeout: float | None) -> bytes:
        """What has come of the head, when it is there, and when it is this thread's turn."""
        self._wait_up_to(0)
        while True:
            try:
                return self.socket.recv(_READ_BYTES)
            except _NOTHING_YET:
                self._ways.await_turn(self.socket, timeout)
            except OSError as exc:
                raise httpx2.ReadError(str(exc)) from exc
