"""One answer by HTTP/1.1, as httptools reads it: the parser under uvicorn and Node.

It takes an answer to pieces in a tenth of the time of the standard library's, and takes none that
could mean two things. Blanks in a chunk's extensions are more than it takes.
Source: RFC 9112, "HTTP/1.1".
"""

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpResponseParser,
)

MAX_HEAD_BYTES = 65_536
FRAMING = frozenset({b"content-length", b"transfer-encoding"})
"""The headers that say where a body ends."""

ENDED_EARLY = "the connection ended before the answer did"
TOO_LONG = "the answer's head, or what follows its body, is too long"

_LAST_CHUNK = b"\r\n0\r\n"
"""Some servers close the connection here, and leave out the empty line that is to follow.

A chunk that breaks off may look so too. What is in it is then no whole JSON, or event.
"""


class _RefusedError(Exception):
    """Raised for httptools, which goes no further then."""


class AnswerParser:
    """What has come of one answer; interim ones before it are passed over (RFC 9110, 15.2).

    The methods named `on_…` are called by httptools. The names of headers come in lower case.
    """

    def __init__(self) -> None:
        self.status = 0
        self.version = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self.has_head = False
        self.keeps_connection = False
        self.pieces: list[bytes] = []
        """What has come of the body and was not taken yet."""
        self.is_over = False
        self.problem = ""
        """Why no more of it can be read, where it is not over."""
        self._bytes_beside = 0
        self._tail = b""
        # The two refer to each other until the answer is read, or given up.
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        # What RFC 9112 lets a reader take (2.2) or has it take (5.2, folded headers), what servers
        # of old write after a chunk's size, and an answer after an interim one that says "close".
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_keep_alive=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )

    def take(self, data: bytes) -> None:
        """Take these bytes; none means that the connection has ended."""
        if data:
            self._parse(data)
        elif self.has_head and self._may_end_here:
            self.is_over = True
        elif not self.problem:
            self.problem = ENDED_EARLY
        if self.is_over or self.problem:
            self.give_up()

    def taken(self) -> bytes:
        """What has come of the body, once."""
        taken = b"".join(self.pieces)
        self.pieces.clear()
        return taken

    def give_up(self) -> None:
        """Take no more."""
        self._parser = None

    @property
    def _may_end_here(self) -> bool:
        """Whether the end of the connection is the body's."""
        framing = {name: value.lower() for name, value in self.headers if name in FRAMING}
        if framing.get(b"transfer-encoding", b"").endswith(b"chunked"):
            return self._tail == _LAST_CHUNK
        return b"content-length" not in framing

    def _parse(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            return
        known = len(self.pieces)
        self._tail = data[-5:] if len(data) >= 5 else (self._tail + data)[-5:]
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as exc:
            if isinstance(exc, HttpParserCallbackError):
                # A signal's handler may have raised in one, such as a worker's that is to end.
                cause = exc.__context__
                if cause is not None and not isinstance(cause, _RefusedError):
                    raise cause from None
            self.problem = "" if self.is_over else "the answer is no HTTP"
        self._bytes_beside = 0 if len(self.pieces) > known else self._bytes_beside + len(data)
        if self._bytes_beside > MAX_HEAD_BYTES:
            self.problem = TOO_LONG

    def on_message_begin(self) -> None:
        if self.is_over:  # whatever it is, nobody asked for it
            self.keeps_connection = False
            raise _RefusedError

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.has_head:  # else it is a trailer
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser is None:
            return
        self.status, self.version = parser.get_status_code(), parser.get_http_version()
        if self.status < 100:
            raise _RefusedError
        if self.status < 200:
            self.headers.clear()
            return
        self.has_head = True
        self.keeps_connection = parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.is_over = self.has_head
