import gzip
import itertools
import json
import threading
import time
import zlib

import pytest

from automate_llm.exceptions import (
    ConnectionFailed,
    DeadlineExceeded,
    LimitExceeded,
    MCPClientError,
    ProtocolError,
    UnexpectedStatus,
)
from automate_llm.exchange import Exchange
from automate_llm.http import MAX_BODY_BYTES, send
from tests.servers.raw import chunk, head

from .calling import after_request, answer_to, answering, call, failure, sending, settled

JSON = {"Content-Type": "application/json"}
CHUNKED = {**JSON, "Transfer-Encoding": "chunked"}
EVENTS = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}


def dripping(start, pieces, seconds=0.02):
    def work(connection):
        connection.send(start)
        connection.drip(pieces, seconds)

    return after_request(work)


@pytest.mark.parametrize(
    "script",
    [
        after_request(lambda connection: connection.wait_for_end()),
        dripping(b"HTTP/1.1 200 OK\r\n", itertools.repeat(b"X-More: yes\r\n")),
        dripping(b"HTTP/1.1 200 OK\r\nX-Long: ", itertools.repeat(b"x")),
        dripping(b"", itertools.repeat(head("100 Continue"))),
        dripping(b"", itertools.repeat(head("103 Early Hints"))),
        dripping(head(headers={**JSON, "Content-Length": "4000000"}), itertools.repeat(b" ")),
        dripping(head(headers=JSON), itertools.repeat(b" ")),
        dripping(head(headers=CHUNKED), itertools.repeat(chunk(b" "))),
        dripping(head(headers=CHUNKED), itertools.repeat(chunk(b" ") * 1_000)),
        dripping(head(headers=CHUNKED) + b"1;", itertools.repeat(b"extension")),
        dripping(head(headers=EVENTS), itertools.repeat(chunk(b": still there\n\n"))),
        dripping(head(headers=EVENTS), itertools.repeat(chunk(b"retry: 0\ndata:{}\n"))),
        dripping(head("400 Bad Request", CHUNKED), itertools.repeat(chunk(b" "))),
    ],
    ids=[
        "silence",
        "headers",
        "one header",
        "interim answers",
        "early hints",
        "counted body",
        "body to the end",
        "chunks",
        "tiny chunks",
        "chunk extension",
        "comments",
        "event",
        "error body",
    ],
)
def test_one_deadline_ends_every_wait(raw_server, script):
    connection = settled(raw_server(script), timeout=0.25)
    began = time.monotonic()
    error = failure(connection)

    assert isinstance(error, DeadlineExceeded), error
    assert "0.25 s" in str(error)
    assert error.may_have_run
    assert time.monotonic() - began < 1


def test_a_server_that_takes_nothing_meets_the_deadline(raw_server):
    server = raw_server(lambda connection: connection.server.stopping.wait(30))
    connection = settled(server, timeout=0.25)
    began = time.monotonic()
    with (
        pytest.raises(DeadlineExceeded) as caught,
        send(connection, Exchange(0.25), "POST", server.url, {}, b"x" * 20_000_000),
    ):
        pass

    assert caught.value.may_have_run
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    "script",
    [
        sending(head(headers={**JSON, "Content-Length": "5000000"}) + b" " * 5_000_000),
        dripping(head(headers=CHUNKED), itertools.repeat(chunk(b" " * 60_000)), 0),
        dripping(head(headers=CHUNKED), itertools.repeat(chunk(b" ") * 10_000), 0),
        dripping(head(headers=EVENTS), itertools.repeat(chunk(b": more\n" * 9_000)), 0),
        dripping(b"HTTP/1.1 200 OK\r\n", itertools.repeat(b"X: " + b"x" * 9_000 + b"\r\n"), 0),
        dripping(b"", itertools.repeat(head("100 Continue") * 100), 0),
    ],
    ids=["counted", "chunks", "tiny chunks", "comments", "header", "interim"],
)
def test_an_endless_answer_is_cut_at_its_limit(raw_server, script):
    error = failure(settled(raw_server(script)))

    assert isinstance(error, LimitExceeded), error
    assert error.may_have_run


@pytest.mark.parametrize("fields", [{}, {"Transfer-Encoding": "chunked"}], ids=["plain", "chunked"])
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_answer_is_measured_unpacked(raw_server, coding, fields):
    bomb = (gzip if coding == "gzip" else zlib).compress(b" " * 5_000_000)
    body = chunk(bomb) + chunk(b"") if fields else bomb
    fields = fields or {"Content-Length": str(len(bomb))}
    script = sending(head(headers={**JSON, **fields, "Content-Encoding": coding}) + body)

    error = failure(settled(raw_server(script)))

    assert isinstance(error, LimitExceeded), error
    assert f"{MAX_BODY_BYTES:,}" in str(error)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "GZIP"])
def test_a_compressed_answer_is_read(raw_server, coding):
    compress = zlib.compress if coding == "deflate" else gzip.compress

    def script(connection):
        answer = json.dumps(answer_to(connection.read_request())).encode()
        connection.respond(compress(answer), headers={"Content-Encoding": coding})

    assert call(settled(raw_server(script))).text == "fine"


def test_a_compressed_stream_is_read_as_it_comes(raw_server):
    told = threading.Event()

    def script(connection):
        seen = connection.read_request()
        packer = zlib.compressobj(wbits=31)

        def packed(message):
            data = packer.compress(f"data: {json.dumps(message)}\n\n".encode())
            return chunk(data + packer.flush(zlib.Z_SYNC_FLUSH))

        params = {"progressToken": seen.body["params"]["_meta"]["progressToken"], "progress": 1}
        progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}
        connection.send(head(headers={**EVENTS, "Content-Encoding": "gzip"}) + packed(progress))
        assert told.wait(5)
        connection.send(packed(answer_to(seen)) + chunk(packer.flush()) + chunk(b""))

    connection = settled(raw_server(script))

    assert call(connection, on_progress=lambda progress: told.set()).text == "fine"


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "zstd", "deflate,gzip", "chunked"])
def test_codings_that_stack_or_are_unknown_are_not_unpacked(raw_server, coding):
    def script(connection):
        connection.read_request()
        connection.respond(
            gzip.compress(gzip.compress(b"{}")), headers={"Content-Encoding": coding}
        )

    error = failure(settled(raw_server(script)))

    assert isinstance(error, ProtocolError)
    assert "coding" in str(error)
    assert error.may_have_run


@pytest.mark.parametrize(
    "work",
    [
        lambda connection: connection.close(),
        lambda connection: connection.reset(),
        lambda connection: connection.send(b"HTTP/1.1 200"),
        lambda connection: connection.send(head(headers={**JSON, "Content-Length": "9"}) + b"{}"),
        lambda connection: connection.send(head(headers=CHUNKED) + chunk(b"{}")),
        lambda connection: connection.send(head(headers=CHUNKED) + b"5\r\n{}"),
        lambda connection: connection.send(head(headers=EVENTS) + chunk(b"data: {}")),
        lambda connection: connection.send(b"SSH-2.0-OpenSSH_9.9\r\n"),
        lambda connection: connection.send(head("2OO OK")),
        lambda connection: connection.send(head(headers=CHUNKED) + b"what?\r\n{}"),
        lambda connection: connection.send(head(headers=CHUNKED) + b"-1\r\n" + b" " * 60_000),
        lambda connection: connection.send(head(headers={**CHUNKED, "Content-Length": "2"})),
        lambda connection: connection.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"
        ),
        lambda connection: connection.send(b"HTTP/1.1 200 OK\r\nno header\r\n\r\n{}"),
        lambda connection: connection.send(head() + b""),
        lambda connection: connection.respond(b"\x1f\x8b no", headers={"Content-Encoding": "gzip"}),
        lambda connection: connection.respond("<html>Welcome</html>"),
        lambda connection: connection.respond(b"<html>", headers=JSON),
        lambda connection: connection.respond(b"", headers=JSON),
        lambda connection: connection.respond(b"", "204 No Content"),
        lambda connection: connection.respond({"jsonrpc": "2.0", "id": 1, "result": {}}),
        lambda connection: connection.respond([1, 2]),
        lambda connection: connection.respond("x", "101 Switching Protocols"),
    ],
)
def test_a_broken_answer_leaves_it_open_whether_the_tool_ran(raw_server, work):
    server = raw_server(after_request(work))
    error = failure(settled(server))

    assert isinstance(error, ConnectionFailed | ProtocolError | UnexpectedStatus), error
    assert error.may_have_run
    assert len(server.requests) == 1


@pytest.mark.parametrize("interim", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_an_interim_answer_is_passed_over(raw_server, interim):
    def script(connection):
        seen = connection.read_request()
        connection.send(head(interim, {"Link": "</style.css>"}))
        connection.respond(answer_to(seen))

    assert call(settled(raw_server(script))).text == "fine"


@pytest.mark.parametrize(
    ("status", "may_have_run"),
    [
        (300, False),
        (400, False),
        (401, False),
        (403, False),
        (404, False),
        (405, False),
        (408, True),
        (413, False),
        (429, False),
        (500, True),
        (502, True),
        (503, True),
        (599, True),
    ],
)
def test_a_status_says_whether_the_tool_may_have_run(raw_server, status, may_have_run):
    server = raw_server(after_request(lambda c: c.respond(b"pa55word", f"{status} Pa55word")))
    error = failure(settled(server))

    assert isinstance(error, UnexpectedStatus)
    assert (error.status_code, error.may_have_run) == (status, may_have_run)
    assert str(error).startswith(f"HTTP {status}: ")
    assert "a55word" not in str(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(raw_server, status):
    elsewhere = raw_server(answering)
    fields = {"Location": elsewhere.url, "Content-Length": "0"}
    server = raw_server(sending(head(f"{status} Moved", fields)))
    error = failure(settled(server, headers={"Authorization": "Bearer t0ken-t0ken"}))

    assert str(error).startswith(f"HTTP {status}: redirects are not followed")
    # 303 after a POST is how a server shows the outcome of what it did.
    assert error.may_have_run == (status == 303)
    assert (len(server.requests), elsewhere.connections) == (1, [])


@pytest.mark.parametrize(
    "work",
    [
        lambda connection: connection.respond(b"", "503 Service Unavailable", {"Retry-After": "0"}),
        lambda connection: connection.respond(b"", "429 Too Many", {"Retry-After": "0"}),
        lambda connection: connection.respond(b"", "408 Request Timeout", {"Connection": "close"}),
        lambda connection: connection.close(),
        lambda connection: connection.reset(),
    ],
)
def test_nothing_is_sent_again(raw_server, work):
    server = raw_server(after_request(work))
    failure(settled(server))

    assert len(server.requests) == len(server.connections) == 1


def test_an_answer_to_another_request_is_not_taken(raw_server):
    def script(connection):
        seen = connection.read_request()
        connection.respond({**answer_to(seen), "id": seen.body["id"] - 1})

    error = failure(settled(raw_server(script)))

    assert isinstance(error, ProtocolError)
    assert error.may_have_run


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://",
        "http:///mcp",
        "/mcp",
        "",
        "http://[::1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:x/",
        "http://anna:pa55word@127.0.0.1/",
        "http://pa55word@127.0.0.1/",
        "gopher://127.0.0.1:25/pa55word",
    ],
)
def test_what_is_no_plain_web_address_is_refused_without_being_quoted(url):
    error = failure(settled(None, url=url or " "))

    assert "endpoint URL" in str(error)
    assert "pa55word" not in str(error)
    assert not error.may_have_run


@pytest.mark.parametrize("name", ["X-Key\r\nX-Evil", "X Key", "X-Key:", "", "X-K\xe9y"])
def test_a_header_whose_name_is_none_is_not_sent(raw_server, name):
    server = raw_server(answering)
    error = failure(settled(server, headers={name: "value"}))

    assert type(error) is MCPClientError
    assert server.connections == []


def test_a_credential_takes_the_place_of_a_header_in_other_letters(raw_server):
    server = raw_server(answering)
    call(settled(server, headers={"aCCept": "mine", "HOST": "theirs", "content-length": "3"}))

    sent = server.requests[0]
    assert (sent.headers["accept"], sent.headers["host"]) == ("mine", "theirs")
    assert sent.body["method"] == "tools/call"


@pytest.mark.parametrize("flaw", [b"<html>", b"2; a=b\r\n"])
def test_a_refusal_counts_though_its_body_is_flawed(raw_server, flaw):
    error = failure(settled(raw_server(sending(head("401 Unauthorized", CHUNKED) + flaw))))

    assert isinstance(error, UnexpectedStatus)
    assert not error.may_have_run


def test_an_event_counts_though_what_follows_it_is_flawed(raw_server):
    def script(connection):
        event = f"data: {json.dumps(answer_to(connection.read_request()))}\n\n".encode()
        connection.send(head(headers=EVENTS) + chunk(event) + b"what?")

    assert call(settled(raw_server(script))).text == "fine"


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b", "tök3n", "tok3n\N{SNOWMAN}"])
def test_a_credential_that_no_header_may_carry_is_not_sent(raw_server, value):
    server = raw_server(answering)
    error = failure(settled(server, headers={"X-API-Key": value}))

    assert type(error) is MCPClientError
    assert value not in str(error)
    assert server.connections == []
