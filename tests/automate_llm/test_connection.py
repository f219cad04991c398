"""One connection to a model's server: an answer is the same however it comes, and never half."""

import gc
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx2
import pytest
from httptools import HttpResponseParser
from hypothesis import given
from hypothesis import strategies as st

from automate_llm.providers import connection as module
from automate_llm.providers.connection import Connection, Request, Server
from automate_llm.providers.crowd import FEW_STREAMS, LONGEST_PAUSE, Crowd
from tests.servers.raw import head

CHUNKED = head(headers={"Transfer-Encoding": "chunked"})
WHOLE = head(headers={"Content-Length": "2"}) + b"{}"
SOON = 5


class Ways:
    def pause(self, seconds: float) -> None:
        return

    def connected(self, connection: socket.socket) -> None:
        return

    def await_turn(self, connection: socket.socket, timeout: float | None) -> None:
        return


@dataclass
class Line:
    """Both ends of a connection over which a request has gone."""

    ours: Connection = field(init=False)
    theirs: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.ours = Connection(ours, Ways())
        self.ours.send(Request(b"anything"), SOON)

    def whole(self) -> bytes:
        """The status aside, all that is read."""
        self.ours.head(SOON)
        body = b""
        while piece := self.ours.read(SOON):
            body += piece
        return body

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.close()


def chunked(*payloads: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in payloads) + b"0\r\n\r\n"


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=20),
    st.lists(st.integers(0, 3_000), max_size=12),
    st.booleans(),
)
def test_however_the_bytes_are_cut_the_body_is_the_same(
    payloads: list[bytes], cuts: list[int], at_once: bool
) -> None:
    wire, line = CHUNKED + chunked(*payloads), Line()
    places = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})

    def send() -> None:
        for a, b in zip(places, places[1:], strict=False):
            line.theirs.sendall(wire[a:b])

    sender = threading.Thread(target=send)
    sender.start()
    body, goes_on = b"", True
    line.ours.head(SOON)
    line.ours.socket.settimeout(0)
    while at_once and goes_on:
        piece, goes_on = line.ours.read_now()
        body += piece
    while piece := line.ours.read(SOON):
        body += piece
    line.ours.done()
    sender.join()

    assert body == b"".join(payloads)
    assert line.ours.is_usable
    line.close()


def test_chunks_that_came_at_once_are_one_piece(line: Line) -> None:
    line.theirs.sendall(CHUNKED + chunked(*[b"token"] * 50))
    line.ours.head(SOON)

    assert line.ours.read(SOON) == b"token" * 50


def test_the_start_of_a_large_chunk_does_not_wait_for_its_end(line: Line) -> None:
    line.theirs.sendall(CHUNKED + b"ffff\r\nfirst words")
    line.ours.head(SOON)

    assert line.ours.read(SOON) == b"first words"
    assert line.ours.in_body


@pytest.mark.parametrize(
    "wire",
    [
        head(headers={"Content-Length": "5"}) + b"hello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        + head(headers={"Content-Length": "5"})
        + b"hello",
        CHUNKED + b"5;name=value\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
        CHUNKED + b"5  \r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n"
        + head(headers={"Content-Length": "5"})
        + b"hello",
    ],
    ids=["counted", "after interim answers", "with an extension and a trailer"]
    + ["with a padded size", "with bare line feeds", "with a folded header"]
    + ["after an interim one that would close"],
)
def test_after_a_whole_answer_the_connection_can_be_used_again(line: Line, wire: bytes) -> None:
    for _ in range(2):
        line.theirs.sendall(wire)
        assert line.whole() == b"hello"
        line.ours.done()
        assert line.ours.is_usable
        line.ours.send(Request(b"anything"), SOON)


def test_a_body_that_ends_with_the_connection_is_read_to_its_end(line: Line) -> None:
    line.theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nhel")
    line.theirs.sendall(b"lo")
    line.theirs.shutdown(socket.SHUT_WR)

    assert line.whole() == b"hello"
    line.ours.done()
    assert not line.ours.is_usable


@pytest.mark.parametrize(
    "wire",
    [
        head(headers={"Content-Length": "2", "Connection": "close"}) + b"{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        head(headers={"Content-Length": "2"}) + b"{}" + head(),
        head(headers={"Content-Length": "2"}) + b"{}" + head("408 No", {"Content-Length": "0"}),
        head(headers={"Content-Length": "2"})
        + b"{}"
        + head(headers={"Content-Length": "2"})
        + b"[]",
        head(headers={"Content-Length": "2"}) + b"{}!",
    ],
    ids=["close", "an old version", "an answer too many", "a refusal too many"]
    + ["a body too many", "a byte too many"],
)
def test_a_connection_that_may_not_be_used_again_is_closed(line: Line, wire: bytes) -> None:
    line.theirs.sendall(wire)

    assert line.ours.head(SOON)[0] == 200
    assert line.whole() == b"{}"
    line.ours.done()
    assert line.ours.socket.fileno() == -1


def test_an_answer_that_was_given_up_takes_its_connection_along(line: Line) -> None:
    line.theirs.sendall(CHUNKED + b"5\r\nhello\r\n")
    line.ours.head(SOON)
    line.ours.read(SOON)
    line.ours.done()

    assert not line.ours.is_usable
    assert line.ours.socket.fileno() == -1


def test_a_connection_that_its_server_closed_or_wrote_to_is_not_used_again() -> None:
    for word in (b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"):
        line = Line()
        line.theirs.sendall(head(headers={"Content-Length": "0"}))
        assert line.whole() == b""
        line.ours.done()
        line.theirs.sendall(word)
        if not word:
            line.theirs.close()
        assert not line.ours.is_usable
        line.close()


def test_a_connection_that_nobody_used_for_long_is_not_used_again(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_SECONDS", -1.0)
    line.theirs.sendall(head(headers={"Content-Length": "0"}))
    line.whole()
    line.ours.done()

    assert not line.ours.is_usable


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"HTTP/1.1 200",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        head(headers={"Content-Length": "2", "Transfer-Encoding": "chunked"}),
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000,
        CHUNKED + b"5\r\nhello\r\n0\r\nX: " + b"y" * 100_000,
        head(headers={"Content-Length": "9"}) + b"hel",
        CHUNKED + b"5\r\nhel",
        CHUNKED + b"-5\r\nhello\r\n",
        CHUNKED + b"5g\r\nhello\r\n",
        CHUNKED + b"x" * 400,
    ],
    ids=["nothing", "half a status", "no HTTP", "two lengths", "lengths that differ", "upgrade"]
    + [
        "no such status",
        "endless head",
        "endless trailer",
        "cut",
        "cut chunk",
        "negative chunk",
        "no hexadecimal",
        "no chunk",
    ],
)
def test_a_broken_answer_is_an_error_and_no_end(line: Line, wire: bytes) -> None:
    def send() -> None:
        line.theirs.sendall(wire)
        line.theirs.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(httpx2.RemoteProtocolError) as caught:
        line.whole()
    while line.ours.socket.recv(100_000):  # what was not even looked at
        continue
    sender.join()

    assert "SSH" not in str(caught.value)


def test_what_came_before_the_break_is_still_read(line: Line) -> None:
    line.theirs.sendall(CHUNKED + b"5\r\nhello\r\nzz\r\n")
    line.ours.head(SOON)

    assert line.ours.read_now() == (b"hello", False)
    with pytest.raises(httpx2.RemoteProtocolError):
        line.ours.read(SOON)


def test_a_parser_that_is_done_with_is_freed_at_once(line: Line) -> None:
    def parsers() -> int:
        return sum(type(each) is HttpResponseParser for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = parsers()
        for _ in range(5):
            line.theirs.sendall(head(headers={"Content-Length": "0"}))
            line.whole()
            line.ours.done()
            line.ours.send(Request(b"anything"), SOON)
            Connection(line.ours.socket, Ways())
        assert parsers() == before
    finally:
        gc.enable()


def test_a_silent_server_is_waited_for_as_long_as_said(line: Line) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        line.ours.head(0.01)
    line.theirs.sendall(CHUNKED)
    line.ours.head(SOON)
    with pytest.raises(httpx2.ReadTimeout):
        line.ours.read(0.01)


@pytest.mark.parametrize("host", ["localhost.invalid", "a..b", "\udc80"])
def test_a_host_without_an_address_is_a_connect_error(host: str) -> None:
    with pytest.raises(httpx2.ConnectError):
        Connection.open(Server(host, 80, None), SOON, Ways())


def test_only_a_crowd_waits_and_never_long() -> None:
    crowd = Crowd()
    pauses = []
    for _ in range(3_000):
        pauses.append(crowd.pause)
        crowd.enter()

    assert set(pauses[: FEW_STREAMS + 1]) == {0}
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
