import socket
import threading

import pytest

from automate_llm.cancellation import Cancellation
from automate_llm.exceptions import CallCancelled, ConnectionFailed, DeadlineExceeded
from automate_llm.exchange import Exchange
from automate_llm.http import send
from tests.servers.raw import chunk, head

from .calling import Stopped, after_request, answer_to, answering, call, failure, settled

EVENTS = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
PROGRESS = b'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}\n\n'


@pytest.fixture
def full_listener():
    """A server that accepts nothing more: the next one who connects gets no answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        queued = [socket.socket() for _ in range(3)]
        for each in queued:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener
        for each in queued:
            each.close()


@pytest.fixture
def stuck_names(monkeypatch):
    """Name lookups hang until the test ends; the event says that one has begun."""
    begun, release = threading.Event(), threading.Event()

    def hang(*args, **kwargs):
        begun.set()
        release.wait(30)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield begun
    release.set()
    for thread in threading.enumerate():
        if thread.name == "automate-dns":
            thread.join()


def url_of(listener, scheme="http"):
    return f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/mcp"


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Half: ",
        head(headers={"Content-Type": "application/json", "Content-Length": "9"}) + b"{",
        head(headers={"Content-Type": "application/json"}) + b"{",
        head(headers=EVENTS) + chunk(PROGRESS),
        head("500 Oh", {"Content-Type": "application/json", "Content-Length": "9"}) + b"{",
    ],
    ids=["answer", "headers", "body", "body to the end", "events", "error body"],
)
def test_a_call_stops_at_once_wherever_it_waits(raw_server, start):
    waiting = threading.Event()

    def work(connection):
        connection.send(start)
        waiting.set()
        connection.wait_for_end()

    connection = settled(raw_server(after_request(work)))
    stopped = Stopped(lambda cancellation: call(connection, cancellation=cancellation))
    assert waiting.wait(5)
    took = stopped.cancel()

    assert isinstance(stopped.error, CallCancelled), stopped.error
    assert stopped.error.may_have_run
    assert took < 0.5


def test_a_call_stops_while_a_name_is_looked_up(stuck_names):
    connection = settled(None, url="http://name.invalid/mcp")
    stopped = Stopped(lambda cancellation: call(connection, cancellation=cancellation))
    assert stuck_names.wait(5)
    took = stopped.cancel()

    assert isinstance(stopped.error, CallCancelled)
    assert not stopped.error.may_have_run
    assert took < 0.5


def test_the_deadline_holds_while_a_name_is_looked_up(stuck_names):
    error = failure(settled(None, url="http://name.invalid/mcp", timeout=0.2))

    assert isinstance(error, DeadlineExceeded)
    assert not error.may_have_run


def test_a_call_stops_while_it_connects(full_listener):
    exchanges = []

    def work(cancellation):
        exchanges.append(Exchange(5, cancellation))
        connection = settled(None, url=url_of(full_listener))
        with send(connection, exchanges[0], "POST", connection.endpoint_url, {}, b"{}"):
            pass

    stopped = Stopped(work)
    dialling = threading.Event()
    while not (exchanges and exchanges[0]._socket):
        dialling.wait(0.01)
    dialling.wait(0.05)  # from holding the socket to waiting for it is a few instructions
    took = stopped.cancel()

    assert isinstance(stopped.error, CallCancelled)
    assert not stopped.error.may_have_run
    assert took < 0.5


def test_the_deadline_holds_while_it_connects(full_listener):
    error = failure(settled(None, url=url_of(full_listener), timeout=0.2))

    assert isinstance(error, DeadlineExceeded)
    assert not error.may_have_run


def test_what_an_earlier_request_of_the_call_sent_does_not_count(raw_server, full_listener):
    first, second = settled(raw_server(answering)), settled(None, url=url_of(full_listener))
    exchange = Exchange(0.3)
    with send(first, exchange, "POST", first.endpoint_url, {}, b'{"id": 1}') as answer:
        answer.read()
    with (
        pytest.raises(DeadlineExceeded) as caught,
        send(second, exchange, "POST", second.endpoint_url, {}, b"{}"),
    ):
        pass

    assert not caught.value.may_have_run


def test_a_connect_without_answer_ends_before_the_call_does(full_listener, monkeypatch):
    monkeypatch.setattr("automate_llm.connections.CONNECT_SECONDS", 0.1)
    error = failure(settled(None, url=url_of(full_listener)))

    assert type(error) is ConnectionFailed
    assert "no answer" in str(error)
    assert not error.may_have_run


def test_a_call_stops_in_the_middle_of_a_tls_handshake(raw_server):
    hello = threading.Event()

    def script(connection):
        connection._receive()
        hello.set()
        connection.wait_for_end()

    url = raw_server(script).url.replace("http:", "https:")
    connection = settled(None, url=url)
    stopped = Stopped(lambda cancellation: call(connection, cancellation=cancellation))
    assert hello.wait(5)
    took = stopped.cancel()

    assert isinstance(stopped.error, CallCancelled), stopped.error
    assert not stopped.error.may_have_run
    assert took < 0.5


def test_the_deadline_holds_in_a_tls_handshake(raw_server):
    url = raw_server(lambda connection: connection.wait_for_end()).url.replace("http:", "https:")
    error = failure(settled(None, url=url, timeout=0.2))

    assert isinstance(error, DeadlineExceeded)
    assert not error.may_have_run


def test_a_call_stops_while_it_sends(raw_server):
    reached = threading.Event()

    def script(connection):
        reached.set()
        connection.server.stopping.wait(30)

    server = raw_server(script)

    def work(cancellation):
        exchange = Exchange(5, cancellation)
        with send(settled(server), exchange, "POST", server.url, {}, b"x" * 20_000_000):
            pass

    stopped = Stopped(work)
    assert reached.wait(5)
    took = stopped.cancel()

    assert isinstance(stopped.error, CallCancelled), stopped.error
    assert took < 0.5


def test_a_call_that_is_stopped_before_it_begins_sends_nothing(raw_server):
    server = raw_server(answering)
    connection = settled(server)
    call(connection)
    cancellation = Cancellation()
    cancellation.cancel()
    error = failure(connection, cancellation=cancellation)

    assert isinstance(error, CallCancelled)
    assert not error.may_have_run
    assert len(server.requests) == 1


def test_a_stop_during_progress_is_heard_at_the_next_wait(raw_server):
    cancellation = Cancellation()

    def script(connection):
        seen = connection.read_request()
        token = str(seen.body["params"]["_meta"]["progressToken"]).encode()
        event = PROGRESS.replace(b'"progress":1', b'"progress":1,"progressToken":' + token)
        connection.send(head(headers=EVENTS) + chunk(event))
        connection.wait_for_end()

    error = failure(
        settled(raw_server(script)),
        cancellation=cancellation,
        on_progress=lambda progress: cancellation.cancel(),
    )

    assert isinstance(error, CallCancelled)


def test_stopping_one_call_leaves_the_others_alone(raw_server):
    held, release = threading.Event(), threading.Event()

    def script(connection):
        seen = connection.read_request()
        if connection.number == 0:
            held.set()
            connection.wait_for_end()
        release.wait(5)
        connection.respond(answer_to(seen))

    server = raw_server(script)
    connection = settled(server)
    stopped = Stopped(lambda cancellation: call(connection, cancellation=cancellation))
    assert held.wait(5)
    texts = []
    other = threading.Thread(target=lambda: texts.append(call(connection).text))
    other.start()
    stopped.cancel()
    release.set()
    other.join()

    assert texts == ["fine"]


def test_a_callback_runs_once_and_not_after_it_is_taken_back():
    cancellation, heard = Cancellation(), []
    cancellation.on_cancel(lambda: heard.append("kept"))
    cancellation.on_cancel(lambda: heard.append("taken back"))()
    cancellation.cancel()
    cancellation.cancel()

    assert heard == ["kept"]


def test_a_callback_that_comes_late_runs_at_once():
    cancellation, heard = Cancellation(), []
    cancellation.cancel()
    cancellation.on_cancel(lambda: heard.append("late"))()

    assert heard == ["late"]
    assert cancellation.cancelled
