import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automate_llm.exceptions import LimitExceeded
from automate_llm.sse import MAX_EVENT_BYTES, event_data
from tests.thoroughness import examples

STREAM = (
    b"\xef\xbb\xbf: a comment\r\n\r\nid: 1\rdata: one\r\rretry: 0\n\n"
    b"data:two\ndata\ndata:  lines\n\n"
    b"event: other\ndata: not for us\n\nevent: message\r\ndata: three\r\n\ndata: cut off\n"
)
EVENTS = [b"one", b"two\n\n lines", b"three"]


def test_the_events_of_a_stream_are_those_that_the_standard_says():
    assert list(event_data([STREAM])) == EVENTS


def test_every_cut_in_two_gives_the_same_events():
    for cut in range(len(STREAM) + 1):
        assert list(event_data([STREAM[:cut], STREAM[cut:]])) == EVENTS, cut


def test_one_byte_at_a_time_gives_the_same_events():
    assert list(event_data(bytes([byte]) for byte in STREAM)) == EVENTS


@given(
    st.lists(
        st.sampled_from(
            [b"\r", b"\n", b"\r\n", b"data:", b"data: x", b"event: y", b":", b" ", b"\xef\xbb\xbf"]
        )
    ).map(b"".join),
    st.lists(st.integers(0, 60)),
)
def test_every_chunking_of_every_stream_gives_the_same_events(stream, cuts):
    cuts = [0, *sorted(cuts), len(stream)]
    chunks = [stream[start:end] for start, end in itertools.pairwise(cuts)]

    whole = list(event_data([stream]))

    assert list(event_data(chunks)) == whole
    assert list(event_data(bytes([byte]) for byte in stream)) == whole


@settings(max_examples=examples(50))
@given(st.lists(st.binary().filter(lambda data: not {10, 13} & set(data)), min_size=1))
def test_what_was_written_is_read(lines):
    stream = b"".join(b"data: " + line + b"\n" for line in lines) + b"\n"

    assert list(event_data([stream])) == [b"\n".join(lines)]


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 60_000 + b"\n", b"x" * 60_000])
def test_an_event_or_a_line_of_more_than_a_megabyte_is_refused(piece):
    with pytest.raises(LimitExceeded) as caught:
        list(event_data(itertools.repeat(piece)))

    assert caught.value.may_have_run


def test_an_event_of_almost_a_megabyte_is_taken():
    data = b"x" * (MAX_EVENT_BYTES - 16)

    assert list(event_data([b"data:", data, b"\n\n"])) == [data]


def test_an_event_is_given_before_the_next_one_arrives():
    def chunks():
        yield b"data: first\n\n"
        raise AssertionError("the event was not given before")

    assert next(event_data(chunks())) == b"first"
