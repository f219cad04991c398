"""The parser of answers: what it gives of a flawed one, and what it leaves to others."""

import pytest

from automate_llm.http_answer import ENDED_EARLY, AnswerParser

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("flaw", [b"what?\r\n", b"-1\r\n", b"0x2\r\n", b"2; a=b\r\nhi\r\n"])
def test_what_comes_before_a_flaw_is_given(flaw: bytes) -> None:
    parser = AnswerParser()
    parser.take(CHUNKED + b"2\r\nhi\r\n" + flaw)

    assert (parser.status, parser.taken()) == (200, b"hi")
    assert parser.problem
    assert not parser.is_over


@pytest.mark.parametrize(
    ("fields", "is_over"),
    [
        (b"", True),
        (b"Transfer-Encoding: identity\r\n", True),
        (b"Transfer-Encoding: gzip, Chunked\r\n", False),
        (b"Content-Length: 3\r\n", False),
    ],
)
def test_the_end_of_the_connection_ends_a_body_that_has_no_other(
    fields: bytes, is_over: bool
) -> None:
    parser = AnswerParser()
    parser.take(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n")
    parser.take(b"")

    assert parser.is_over == is_over
    assert parser.problem == ("" if is_over else ENDED_EARLY)


@pytest.mark.parametrize(
    ("parts", "is_over"),
    [
        ([b"2\r\nhi\r\n0\r\n"], True),
        ([b"2\r\nhi\r\n", b"0", b"\r\n"], True),
        ([b"0\r\n"], True),
        ([b"2\r\nhi\r\n"], False),
        ([b"2\r\nhi\r\n0"], False),
        ([b"20\r\nhi\r\n2\r\n"], False),
    ],
)
def test_an_empty_line_after_the_last_chunk_is_not_missed(
    parts: list[bytes], is_over: bool
) -> None:
    parser = AnswerParser()
    for part in [CHUNKED, *parts, b""]:
        parser.take(part)

    assert parser.is_over == is_over
    assert bool(parser.problem) != is_over


def test_a_counted_body_that_breaks_off_is_not_over_because_of_how_it_ends() -> None:
    parser = AnswerParser()
    parser.take(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhi\r\n0\r\n")
    parser.take(b"")

    assert not parser.is_over
    assert parser.problem == ENDED_EARLY


class Interrupted(AnswerParser):
    """As when a signal comes while a body is taken, whose handler raises."""

    def on_body(self, piece: bytes) -> None:
        raise SystemExit


def test_what_a_signal_raises_is_no_flaw_of_the_answer() -> None:
    with pytest.raises(SystemExit):
        Interrupted().take(CHUNKED + b"2\r\nhi\r\n")
