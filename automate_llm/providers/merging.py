"""Hands the many small chunks of a streamed answer to the HTTP parser as few larger ones.

Model servers send each token as a chunk of its own, and parsing one costs ten times what its few
bytes do. `reader` takes the chunks of most answers past the parser altogether. What the parser does
read of many answers at once waits a moment between two reads, so that several tokens come in one.
Source: RFC 9112, section 7.1, "Chunked Transfer Coding".
"""

import re
import socket
import ssl
import threading
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Protocol

import httpcore2

FEW_STREAMS = 50
"""Up to so many streams at once, nothing waits."""

PAUSE_FOR_EACH = 0.00015
LONGEST_PAUSE = 0.15

_MAX_LINE = 256
_READ_BYTES = 16_384
_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;|$)")


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
            httpcore2.ReadTimeout: nothing came for so many seconds.
        """
        ...


class Crowd:
    """Counts the streams under way in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def enter(self) -> None:
        with self._lock:
            self._count += 1

    def leave(self) -> None:
        with self._lock:
            self._count -= 1

    @property
    def pause(self) -> float:
        """Seconds that each stream waits before it reads on."""
        return min(LONGEST_PAUSE, max(0, self._count - FEW_STREAMS) * PAUSE_FOR_EACH)


crowd = Crowd()


class Chunks:
    """Takes a chunked response apart, and gives it back in chunks as large as what came at once.

    What is not as the RFC has it, and whatever is no chunked response, passes as it is.
    """

    def __init__(self) -> None:
        self._is_head = True
        self._is_raw = False
        self._line = b""
        self._left = 0

    @property
    def in_head(self) -> bool:
        """Whether the response's head is not complete yet."""
        return self._is_head

    @property
    def in_body(self) -> bool:
        """Whether chunks of a body are under way."""
        return not self._is_head and not self._is_raw

    def feed(self, data: bytes) -> bytes:
        """What the parser is to see for these bytes; nothing where it takes more of them."""
        seen = b""
        if self._is_head:
            seen, data = self.head(data)
        if not self.in_body:
            return seen + data
        payload, rest = self.payload(data)
        return seen + _chunk(payload) + rest

    def head(self, data: bytes) -> tuple[bytes, bytes]:
        """These bytes of the response's beginning, cut where its head ends."""
        self._line += data
        head, end, _ = self._line.partition(b"\r\n\r\n")
        if not end:
            self._line = self._line[-65_536:]
            return data, b""
        size = len(head) + len(end) - (len(self._line) - len(data))
        self._line, self._is_head = b"", False
        lower = head.lower()
        is_chunked = b"\r\ntransfer-encoding: chunked" in lower
        self._is_raw = not is_chunked or lower.startswith(b"http/1.1 1")
        return data[:size], data[size:]

    def payload(self, data: bytes) -> tuple[bytes, bytes]:
        """The content of the body's chunks in these bytes, and what is none of them any more.

        That is the last chunk with its trailers, or no chunk at all; from then on all bytes pass.
        """
        payload: list[bytes] = []
        data, self._line, at = self._line + data, b"", 0
        while at < len(data):
            if not self._left:
                end = data.find(b"\r\n", at)
                if end < 0 and len(data) - at < _MAX_LINE:
                    self._line = data[at:]
                    break
                size = _size(data[at:end]) if end >= 0 else 0
                if not size:
                    self._is_raw = True
                    return b"".join(payload), data[at:]
                at = end + 2
                self._left = size + 2
            if self._left > 2:
                payload.append(data[at : at + self._left - 2])
            step = min(self._left, len(data) - at)
            at += step
            self._left -= step
        return b"".join(payload), b""


@lru_cache(maxsize=1_024)  # nearly every chunk of an answer is as long as others
def _size(line: bytes) -> int:
    found = _SIZE.match(line)
    return int(found[1], 16) if found else 0


def _chunk(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""


class MergingStream(httpcore2.NetworkStream):
    """A connection whose reads are merged, by the ways that `Line` has for it.

    While the chunks of a body are under way, `read_now` may be used in place of `read`: the parser
    above is then spared all of them, and sees a body that goes on where the last `read_now` ended.
    """

    def __init__(self, stream: httpcore2.NetworkStream, ways: Ways) -> None:
        self._stream = stream
        self._ways = ways
        self._chunks = Chunks()
        self._held = b""
        self.socket: socket.socket = stream.get_extra_info("socket")
        ways.connected(self.socket)

    @property
    def in_body(self) -> bool:
        """Whether chunks of a body are under way."""
        return self._chunks.in_body

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        pause = crowd.pause
        if pause and not self._held and self._chunks.in_body:
            self._ways.pause(pause)
        while data := self._held or (
            self._read_in_turn(timeout)
            if pause and self._chunks.in_head
            else self._stream.read(max_bytes, timeout)
        ):
            if self._chunks.in_head:  # what comes after it stays here, for `read_now`
                seen, self._held = self._chunks.head(data)
            else:
                seen, self._held = self._chunks.feed(data), b""
            if seen:
                return seen
        return b""

    def read_now(self) -> tuple[bytes, bool]:
        """The content of chunks that is there, without a wait, and whether more can be read so.

        It cannot where the body is over, or is none, or the connection is lost: `read` then tells.
        """
        data = self._held
        if not data:
            try:
                data = self.socket.recv(_READ_BYTES)
            except _NOTHING_YET:
                return b"", True
            except OSError:
                return b"", False
        payload, self._held = self._chunks.payload(data)
        return payload, bool(data) and not self._held

    def _read_in_turn(self, timeout: float | None) -> bytes:
        """What has come of the head, when it is there, and when it is this thread's turn."""
        self.socket.settimeout(0)
        while True:
            try:
                return self.socket.recv(_READ_BYTES)
            except _NOTHING_YET:
                self._ways.await_turn(self.socket, timeout)
            except OSError as exc:
                raise httpcore2.ReadError(str(exc)) from exc

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._chunks = Chunks()
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, timeout)
        return MergingStream(stream, self._ways)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class MergingBackend(httpcore2.NetworkBackend):
    """Makes connections whose reads are merged."""

    def __init__(self, ways: Ways) -> None:
        self._backend = httpcore2.SyncBackend()
        self._ways = ways

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        stream = self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return MergingStream(stream, self._ways)
