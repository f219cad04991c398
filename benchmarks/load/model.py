"""A model server for a thousand streams at once, in one thread; prints `READY <base url>`.

Each word of an answer is the time at which it is sent, in eight hexadecimal digits of milliseconds
on the clock that all processes of a machine share. The first `--gate` requests are kept waiting
until the last of them has come; from then on each stream gets its words at an even pace.
"""

import argparse
import heapq
import select
import socket
import time

CHUNK = (
    b'data: {"id":"chatcmpl-load","object":"chat.completion.chunk","created":1790000000,'
    b'"model":"scripted","system_fingerprint":"fp_load","choices":[{"index":0,"delta":%b,'
    b'"logprobs":null,"finish_reason":%b}],"usage":null}\n\n'
)
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
USAGE = (
    b'data: {"id":"chatcmpl-load","object":"chat.completion.chunk","created":1790000000,'
    b'"model":"scripted","choices":[],"usage":{"prompt_tokens":20,"completion_tokens":200,'
    b'"total_tokens":220}}\n\ndata: [DONE]\n\n'
)
PARAGRAPH_WORDS = 40


def stamp(milliseconds: int) -> bytes:
    """A time as a word of an answer has it."""
    return b"%08x" % (milliseconds & 0xFFFFFFFF)


def now() -> int:
    """Milliseconds on the clock that all processes share."""
    return time.monotonic_ns() // 1_000_000


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _word(number: int) -> bytes:
    between = b"\\n\\n" if number and number % PARAGRAPH_WORDS == 0 else b" "
    delta = b'{"content":"%b%b"}' % (between if number else b"", stamp(now()))
    return _http_chunk(CHUNK % (delta, b"null"))


FIRST = HEAD + _http_chunk(CHUNK % (b'{"role":"assistant","content":""}', b"null"))
LAST = _http_chunk(CHUNK % (b"{}", b'"stop"')) + _http_chunk(USAGE) + b"0\r\n\r\n"


class Model:
    """Answers every request on its listener, until the process ends."""

    def __init__(self, listener: socket.socket, words: int, interval: float, gate: int) -> None:
        self._listener = listener
        self._words, self._interval, self._gate = words, interval, gate
        self._epoll = select.epoll()
        self._epoll.register(listener, select.EPOLLIN)
        self._connections: dict[int, socket.socket] = {}
        self._received: dict[int, bytes] = {}
        self._held: list[int] = []
        self._due: list[tuple[float, int, int]] = []

    def serve_for_ever(self) -> None:
        while True:
            now = time.monotonic()
            timeout = max(0.0, self._due[0][0] - now) if self._due else -1
            for descriptor, _ in self._epoll.poll(timeout):
                if descriptor == self._listener.fileno():
                    self._accept()
                else:
                    self._read(descriptor)
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                self._send_next(*heapq.heappop(self._due))

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[connection.fileno()] = connection
        self._received[connection.fileno()] = b""
        self._epoll.register(connection, select.EPOLLIN)

    def _read(self, descriptor: int) -> None:
        try:
            piece = self._connections[descriptor].recv(262_144)
        except OSError:
            piece = b""
        if not piece:
            self._drop(descriptor)
            return
        received = self._received[descriptor] + piece
        head, separator, body = received.partition(b"\r\n\r\n")
        if separator and len(body) >= _length(head):
            self._received[descriptor] = b""
            self._begin(descriptor)
        else:
            self._received[descriptor] = received

    def _begin(self, descriptor: int) -> None:
        self._held.append(descriptor)
        if len(self._held) < self._gate:
            return
        self._gate = 0
        start, count = time.monotonic() + self._interval, len(self._held)
        for place, each in enumerate(self._held):
            heapq.heappush(self._due, (start + self._interval * place / count, each, 0))
        self._held.clear()

    def _send_next(self, due: float, descriptor: int, number: int) -> None:
        connection = self._connections.get(descriptor)
        if connection is None:
            return
        data = _word(number) if number < self._words else LAST
        try:
            connection.send(data if number else FIRST + data)
        except OSError:
            self._drop(descriptor)
            return
        if number < self._words:
            heapq.heappush(self._due, (due + self._interval, descriptor, number + 1))

    def _drop(self, descriptor: int) -> None:
        if connection := self._connections.pop(descriptor, None):
            self._epoll.unregister(connection)
            connection.close()
            del self._received[descriptor]


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=200)
    parser.add_argument("--a-second", type=float, default=20.0, help="words of one stream")
    parser.add_argument("--gate", type=int, default=0, help="requests that begin together")
    chosen = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        print(f"READY http://127.0.0.1:{listener.getsockname()[1]}/v1", flush=True)
        Model(listener, chosen.words, 1 / chosen.a_second, chosen.gate).serve_for_ever()


if __name__ == "__main__":
    main()
