"""One answer of an MCP server, as httptools reads it and as urllib3's pools hand it on."""

from http.client import HTTPException, RemoteDisconnected
from typing import Any

from urllib3 import BaseHTTPResponse, HTTPHeaderDict

from . import http_answer
from .exceptions import LimitExceeded
from .exchange import READ_AHEAD_BYTES

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
        self._parser = parser = http_answer.AnswerParser()
        self._connection: Any = None  # which the pool sets, and itself
        self._pool: Any = None
        try:
            while not parser.has_head:
                self._read_on(READ_AHEAD_BYTES)
        except BaseException:  # raised on
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

    def read1(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """More of the body as it was sent, of whatever length; nothing at its end.

        With its last piece the connection is free for another request.
        """
        parser = self._parser
        while not parser.pieces and not parser.is_over:
            self._read_on(_READ_BYTES)
        taken = parser.taken()
        if parser.is_over:
            self._part_with_connection(keeps_it=parser.keeps_connection)
        return taken

    def close(self) -> None:
        """Give up what is left of it, and its connection with that."""
        self._parser.give_up()
        self._part_with_connection(keeps_it=False)

    @property
    def is_closed(self) -> bool:
        """Whether it was read to its end, or given up."""
        return self._connection is None

    def _part_with_connection(self, *, keeps_it: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._sock.answered()  # no stop of the call may touch it from now on
        if not keeps_it:
            connection.close()
        self._pool._put_conn(connection)

    def _read_on(self, size: int) -> None:
        """Wait for more; what came before a flaw was found is given first."""
        parser = self._parser
        match parser.problem:
            case "":
                parser.take(self._sock.recv(size))
            case http_answer.ENDED_EARLY:
                raise RemoteDisconnected(parser.problem)
            case http_answer.TOO_LONG:
                raise LimitExceeded("The server's answer is too large.", may_have_run=True)
            case problem:
                raise HTTPException(problem)
