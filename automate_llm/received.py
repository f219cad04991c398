"""One answer of an MCP server, as httptools reads it and as urllib3's pools hand it on."""

from http.client import HTTPException, RemoteDisconnected
from typing import Any

from urllib3 import BaseHTTPResponse, HTTPHeaderDict

from .exceptions import LimitExceeded
from .exchange import READ_AHEAD_BYTES
from .http_answer import AnswerParser

_READ_BYTES = 64 * 1024


class Received(BaseHTTPResponse):
    """An answer whose head is there, and whose body is read piece by piece as it comes.

    Raises:
        RemoteDisconnected: the connection ended before the answer did.
        HTTPException: it is no HTTP, or could mean more than one thing.
        LimitExceeded: its head, or what is beside its body, is too long.
    """

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._parser = parser = AnswerParser()
        self._connection: Any = None  # which the pool sets, and itself
        self._pool: Any = None
        try:
            while not parser.has_head:
                self._read_on(READ_AHEAD_BYTES)
        except BaseException:
            parser.give_up()
            raise
        headers = HTTPHeaderDict()
        for name, value in parser.headers:
            headers.add(name.decode("latin-1"), value.decode("latin-1"))
        super().__init__(
            headers=headers,
            status=parser.status,
            version=11 if parser.version == "1.1" else 10,
            version_string=f"HTTP/{parser.version}",
            reason=None,
            decode_content=False,
            request_url=None,
        )
        self.length_remaining = None

    @property
    def is_over(self) -> bool:
        """Whether all of it was read."""
        return self._parser.is_over and not self._parser.pieces

    def read1(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """More of the body as it was sent, of whatever length; nothing at its end."""
        parser = self._parser
        while not parser.pieces and not parser.is_over:
            self._read_on(_READ_BYTES)
        return parser.taken()

    def close(self) -> None:
        """Part with the connection, which is kept where the answer is over."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._parser.give_up()
        self._sock.answered()
        if not (self.is_over and self._parser.keeps_connection):
            connection.close()
        self._pool._put_conn(connection)

    def _read_on(self, size: int) -> None:
        parser = self._parser
        if not parser.problem:
            data = self._sock.recv(size)
            parser.take(data)
            if parser.is_over:  # no stop of the call may touch the connection from now on
                self._sock.answered()
            if not data and parser.problem:
                raise RemoteDisconnected(parser.problem)
        if parser.is_too_long:
            raise LimitExceeded("The server's answer is too large.", may_have_run=True)
        if parser.problem:
            raise HTTPException(parser.problem)
