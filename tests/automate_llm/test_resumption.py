"""Event streams that end early, and are taken up again where the version has that."""

import json
import threading

import pytest

from automate_llm.exceptions import CallCancelled, ConnectionFailed, DeadlineExceeded, ProtocolError
from automate_llm.sse import Cursor, event_data
from automate_llm.transports import http_messages
from tests.servers.raw import chunk, head

from .calling import Stopped, answer_to, call, failure, settled
from .test_sessions import legacy

STREAM = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
PRIMING = b"id: e-1\nretry: 1\ndata: \n\n"


@pytest.fixture(autouse=True)
def no_least_pause(monkeypatch):
    monkeypatch.setattr(http_messages, "MIN_PAUSE_SECONDS", 0.001)


def message(content):
    return b"data: " + json.dumps(content).encode() + b"\n\n"


class Resumable:
    """The script of a server of 2025 that sends `first` for a call, and `later` on each GET.

    A piece may be bytes, `None` for the answer, or a status; `cut` breaks the first stream off.
    """

    def __init__(self, first, *later, cut=False, version="2025-11-25"):
        self.first, self.later, self.cut, self.version = first, list(later), cut, version
        self.called = None
        self.streamed = threading.Event()

    def __call__(self, connection):
        while True:
            seen = connection.read_request()
            if seen.method == "GET":
                piece = self.later.pop(0) if self.later else PRIMING
                if isinstance(piece, str):
                    connection.respond(b"", piece)
                else:
                    answer = message(answer_to(self.called))
                    self.stream(connection, answer if piece is None else piece)
            elif seen.rpc_method == "initialize":
                result = {"protocolVersion": self.version, "capabilities": {}}
                answer = {"jsonrpc": "2.0", "id": seen.body["id"], "result": result}
                connection.respond(answer, headers={"Mcp-Session-Id": "s1"})
            elif seen.rpc_method == "tools/call":
                self.called = seen
                self.stream(connection, self.first, cut=self.cut)
                self.streamed.set()
                if self.cut:
                    connection.reset()
                    return
            else:
                connection.respond(b"", "202 Accepted")

    def stream(self, connection, data, cut=False):
        connection.send(head("200 OK", STREAM) + chunk(data) + (b"" if cut else chunk(b"")))


def gets(server):
    return [seen for seen in server.requests if seen.method == "GET"]


def calls(server):
    return [seen for seen in server.requests if seen.rpc_method == "tools/call"]


@pytest.mark.parametrize("version", ["2025-11-25", "2025-06-18", "2025-03-26"])
@pytest.mark.parametrize("cut", [False, True])
def test_an_answer_comes_over_the_stream_that_is_taken_up_again(raw_server, cut, version):
    server = raw_server(Resumable(PRIMING, None, cut=cut, version=version))

    assert call(settled(server, protocol_version=version)).text == "fine"
    [resumed] = gets(server)
    assert resumed.headers["last-event-id"] == "e-1"
    assert resumed.headers["mcp-session-id"] == "s1"
    assert resumed.headers["accept"] == "text/event-stream"
    assert len(calls(server)) == 1


def test_each_time_the_last_event_says_where(raw_server):
    server = raw_server(Resumable(PRIMING, b"id: e-2\ndata: \n\n", b": nothing new\n\n", None))

    assert call(legacy(server)).text == "fine"
    assert [seen.headers["last-event-id"] for seen in gets(server)] == ["e-1", "e-2", "e-2"]


def test_a_stream_without_an_id_is_not_taken_up_again(raw_server):
    server = raw_server(Resumable(b": hello\n\n"))
    error = failure(legacy(server))

    assert isinstance(error, ProtocolError)
    assert error.may_have_run
    assert not gets(server)


def test_a_stream_that_breaks_without_an_id_leaves_the_outcome_unknown(raw_server):
    server = raw_server(Resumable(b": hello\n\n", cut=True))
    error = failure(legacy(server))

    assert isinstance(error, ConnectionFailed)
    assert error.may_have_run
    assert len(calls(server)) == 1


@pytest.mark.parametrize("status", ["405 Method Not Allowed", "404 Not Found", "400 Bad Request"])
def test_a_server_that_refuses_to_go_on_leaves_the_outcome_unknown(raw_server, status):
    server = raw_server(Resumable(PRIMING, status))
    error = failure(legacy(server))

    assert isinstance(error, ProtocolError)
    assert error.may_have_run
    assert len(calls(server)) == 1


def test_a_stream_that_never_answers_is_given_up(raw_server, monkeypatch):
    monkeypatch.setattr(http_messages, "MAX_RESUMPTIONS", 5)
    server = raw_server(Resumable(PRIMING))
    error = failure(legacy(server))

    assert isinstance(error, ProtocolError)
    assert error.may_have_run
    assert len(gets(server)) == 5


def test_a_pause_beyond_the_deadline_is_not_waited_for(raw_server):
    server = raw_server(Resumable(b"id: e-1\nretry: 60000\ndata: \n\n"))
    error = failure(legacy(server))

    assert isinstance(error, DeadlineExceeded)
    assert error.may_have_run
    assert not gets(server)


def test_a_call_is_stopped_in_its_pause_and_the_server_told(raw_server):
    script = Resumable(b"id: e-1\nretry: 4000\ndata: \n\n")
    server = raw_server(script)
    connection = legacy(server)
    stopped = Stopped(lambda cancellation: call(connection, cancellation=cancellation))
    assert script.streamed.wait(5)

    assert stopped.cancel() < 3
    assert isinstance(stopped.error, CallCancelled)
    assert stopped.error.may_have_run
    cancelled = server.requests[-1]
    assert cancelled.rpc_method == "notifications/cancelled"
    assert cancelled.body["params"]["requestId"] == calls(server)[0].body["id"]


def test_a_modern_servers_stream_is_never_taken_up_again(raw_server):
    def script(connection):
        connection.read_request()
        connection.send(head("200 OK", STREAM) + chunk(PRIMING) + chunk(b""))

    server = raw_server(script)
    error = failure(settled(server))

    assert isinstance(error, ProtocolError)
    assert error.may_have_run
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("stream", "cursor"),
    [
        (b"id: a\nretry: 5\ndata: x\n\n", Cursor("a", 5)),
        (b"id: a\n\nid: b\n", Cursor("a")),
        (b"id: a\n\nid\n\n", Cursor("")),
        (b"id: a\n\nid: b\0\n\n", Cursor("a")),
        (b"id: a\tb\n\n", Cursor("")),
        (b"id: \xc3\xa9\n\n", Cursor("")),
        (b"id: " + b"x" * 1_001 + b"\n\n", Cursor("")),
        (b"retry: soon\n\nretry: -1\n\nretry: 9999999999\n\n", Cursor("")),
    ],
)
def test_a_cursor_says_where_a_stream_can_be_taken_up(stream, cursor):
    followed = Cursor()
    list(event_data([stream], followed))

    assert followed == cursor
