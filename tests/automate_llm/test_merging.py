"""Many small chunks of a streamed answer are handed on as few, and nothing else is changed."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automate_llm.providers.merging import FEW_STREAMS, LONGEST_PAUSE, Chunks, Crowd

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(*payloads: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in payloads) + b"0\r\n\r\n"


def parsed(pieces: list[bytes]) -> tuple[bytes, int, bool]:
    """The body that an HTTP parser sees, in how many events, and whether it ended."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    body, count = b"", 0
    for piece in filter(None, pieces):
        connection.receive_data(piece)
        while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Data):
                body, count = body + bytes(event.data), count + 1
            if isinstance(event, h11.EndOfMessage):
                return body, count, True
    return body, count, False


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=20),
    st.lists(st.integers(0, 3_000), max_size=12),
)
def test_however_the_bytes_are_cut_the_body_is_the_same(
    payloads: list[bytes], cuts: list[int]
) -> None:
    wire, chunks = HEAD + chunked(*payloads), Chunks()
    places = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    pieces = [wire[a:b] for a, b in zip(places, places[1:], strict=False)]

    body, _, ended = parsed([chunks.feed(piece) for piece in pieces])

    assert ended
    assert body == b"".join(payloads)


def test_chunks_that_came_at_once_are_one() -> None:
    chunks = Chunks()

    body, count, ended = parsed([chunks.feed(HEAD), chunks.feed(chunked(*[b"token"] * 50))])

    assert (body, count, ended) == (b"token" * 50, 1, True)


def test_the_start_of_a_large_chunk_does_not_wait_for_its_end() -> None:
    chunks = Chunks()

    body, _, ended = parsed([chunks.feed(HEAD), chunks.feed(b"ffff\r\nfirst words")])

    assert (body, ended) == (b"first words", False)


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n5\r\nab",
        b"HTTP/1.1 500 Oops\r\n\r\n5\r\nhello\r\n",
        HEAD + b"-5\r\nhello\r\n",
        HEAD + b"5g\r\nhello\r\n",
        HEAD + b"x" * 400,
    ],
)
def test_what_is_not_chunked_as_it_should_be_passes_as_it_is(wire: bytes) -> None:
    assert Chunks().feed(wire) == wire


def test_only_a_crowd_waits_and_never_long() -> None:
    crowd = Crowd()
    pauses = []
    for _ in range(3_000):
        pauses.append(crowd.pause)
        crowd.enter()

    assert set(pauses[: FEW_STREAMS + 1]) == {0}
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
