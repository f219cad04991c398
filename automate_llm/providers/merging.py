"""Hands the many small chunks of a streamed answer to the HTTP parser as few larger ones.

Model servers send each token as a chunk of its own, and parsing one costs ten times what its few
bytes do. With many streams at once, each also waits a moment before it reads on, so that several
tokens come in one read. Source: RFC 9112, section 7.1, "Chunked Transfer Coding".
"""

import re
import threading
from collections.abc import Callable, Iterable
from typing import Any

import httpcore2

FEW_STREAMS = 50
"""Up to so many streams at once, nothing waits."""

PAUSE_FOR_EACH = 0.00015
LONGEST_PAUSE = 0.15

_MAX_LINE = 256
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;|$)")


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
        self._feed: Callable[[bytes], bytes] = self._head
        self._line = b""
        self._left = 0

    @property
    def in_body(self) -> bool:
        """Whether chunks of a body are under way."""
        return self._feed == self._body

    def feed(self, data: bytes) -> bytes:
        """What the parser is to see for these bytes; nothing where it takes more of them."""
        return self._feed(data)

    def _head(self, data: bytes) -> bytes:
        self._line += data
        head, end, rest = self._line.partition(b"\r\n\r\n")
        if not end:
            self._line = self._line[-65_536:]
            return data
        before = len(self._line) - len(data)
        self._line = b""
        lower = head.lower()
        if b"\r\ntransfer-encoding: chunked" not in lower or lower.startswith(b"http/1.1 1"):
            self._feed = self._raw
            return data
        self._feed = self._body
        seen = len(head) + len(end) - before
        return data[:seen] + self._body(rest)

    def _body(self, data: bytes) -> bytes:
        payload: list[bytes] = []
        data, self._line, at = self._line + data, b"", 0
        while at < len(data):
            if self._left > 2:
                piece = data[at : at + self._left - 2]
                payload.append(piece)
                at += len(piece)
                self._left -= len(piece)
            elif self._left:
                step = min(self._left, len(data) - at)
                at += step
                self._left -= step
            else:
                end = data.find(b"\r\n", at)
                if end < 0 and len(data) - at < _MAX_LINE:
                    self._line = data[at:]
                    break
                size = _size(data[at:end]) if end >= 0 else 0
                if not size:  # the last chunk with its trailers, or no chunk at all
                    self._feed = self._raw
                    return _chunk(payload) + data[at:]
                at = end + 2
                self._left = size + 2
        return _chunk(payload)

    def _raw(self, data: bytes) -> bytes:
        return data


def _size(line: bytes) -> int:
    found = _SIZE.match(line)
    return int(found[1], 16) if found else 0


def _chunk(payload: list[bytes]) -> bytes:
    data = b"".join(payload)
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


class MergingStream(httpcore2.NetworkStream):
    """A connection whose reads are merged; `wait` waits so many seconds, or until a stop."""

    def __init__(self, stream: httpcore2.NetworkStream, wait: Callable[[float], object]) -> None:
        self._stream = stream
        self._wait = wait
        self._chunks = Chunks()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._chunks.in_body and (pause := crowd.pause):
            self._wait(pause)
        while data := self._stream.read(max_bytes, timeout):
            if seen := self._chunks.feed(data):
                return seen
        return b""

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._chunks = Chunks()
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, timeout)
        return MergingStream(stream, self._wait)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class MergingBackend(httpcore2.NetworkBackend):
    """Makes connections whose reads are merged."""

    def __init__(self, wait: Callable[[float], object]) -> None:
        self._backend = httpcore2.SyncBackend()
        self._wait = wait

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        stream = self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return MergingStream(stream, self._wait)
