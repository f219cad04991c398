import json
import socket
import threading
import time
from contextlib import suppress

import pytest

from automate_llm import connections
from automate_llm.cancellation import Cancellation
from automate_llm.exchange import Exchange
from automate_llm.http import send
from tests.servers.raw import chunk, head

from .calling import answer_to, answering, call, failure, sending, settled

JSON = {"Content-Type": "application/json"}
CHUNKED = {**JSON, "Transfer-Encoding": "chunked"}
EVENTS = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}


def answer_in_bytes(connection):
    return json.dumps(answer_to(connection.read_request())).encode()


def wait_for_the_end_of_connections(server):
    for thread in threading.enumerate():
        if thread.name == f"raw connection to {server.url}":
            thread.join()


def test_the_connection_is_used_again(raw_server):
    server = raw_server(answering)
    connection = settled(server)
    for _ in range(3):
        assert call(connection).text == "fine"

    assert (len(server.requests), len(server.connections)) == (3, 1)


@pytest.mark.parametrize("rest", [b"", b": bye\n\n"])
def test_the_connection_of_an_event_stream_is_used_again(raw_server, rest):
    def script(connection):
        while True:
            answer = answer_in_bytes(connection)
            connection.send(head(headers=EVENTS) + chunk(b"data: " + answer + b"\n\n"))
            connection.send((chunk(rest) if rest else b"") + chunk(b""))

    server = raw_server(script)
    connection = settled(server)
    for _ in range(3):
        assert call(connection).text == "fine"

    assert len(server.connections) == 1


def test_an_event_stream_that_stays_open_is_not_waited_for(raw_server):
    def script(connection):
        answer = answer_in_bytes(connection)
        connection.send(head(headers=EVENTS) + chunk(b"data: " + answer + b"\n\n"))
        connection.wait_for_end()

    server = raw_server(script)
    connection = settled(server)
    began = time.monotonic()
    call(connection)

    assert time.monotonic() - began < 0.5
    assert call(connection).text == "fine"
    assert len(server.connections) == 2


def test_the_connection_is_used_again_after_a_refusal_in_json(raw_server):
    def script(connection):
        connection.read_request()
        connection.respond({"error": "no"}, "400 Bad Request")
        answering(connection)

    server = raw_server(script)
    connection = settled(server)
    failure(connection)

    assert call(connection).text == "fine"
    assert len(server.connections) == 1


@pytest.mark.parametrize("is_raised", [False, True])
@pytest.mark.parametrize("status", ["202 Accepted", "204 No Content", "408 Request Timeout"])
def test_an_answer_that_is_given_up_costs_the_connection_though_it_is_empty(
    raw_server, status, is_raised
):
    def script(connection):
        while True:
            connection.read_request()
            connection.respond(b"", status)

    server = raw_server(script)
    connection = settled(server)
    for _ in range(2):
        with (
            suppress(KeyError),
            send(connection, Exchange(5), "POST", server.url, {}, b"{}") as answer,
        ):
            if is_raised:
                raise KeyError
            answer.close()

    assert len(server.connections) == 2


@pytest.mark.parametrize("surplus", [b"x", head(headers={**JSON, "Content-Length": "2"}) + b"{}"])
@pytest.mark.parametrize("form", [JSON, CHUNKED], ids=["counted", "chunked"])
def test_surplus_bytes_cost_the_connection(raw_server, form, surplus):
    def script(connection):
        answer = answer_in_bytes(connection)
        body = chunk(answer) + chunk(b"") if form is CHUNKED else answer
        fields = form if form is CHUNKED else {**form, "Content-Length": str(len(answer))}
        connection.send(head(headers=fields) + body + surplus)
        connection.wait_for_end()

    server = raw_server(script)
    connection = settled(server)
    for _ in range(2):
        assert call(connection).text == "fine"

    assert len(server.connections) == 2


def test_a_second_answer_that_comes_late_costs_the_connection(raw_server):
    def script(connection):
        seen = connection.read_request()
        connection.respond(answer_to(seen))
        connection.respond(answer_to(seen, text="smuggled"))
        connection.close()

    server = raw_server(script)
    connection = settled(server)
    call(connection)
    wait_for_the_end_of_connections(server)

    assert call(connection).text == "fine"
    assert len(server.connections) == 2


def test_a_connection_that_the_server_closed_is_not_used_again(raw_server):
    server = raw_server(lambda connection: connection.respond(answer_to(connection.read_request())))
    connection = settled(server)
    for _ in range(2):
        assert call(connection).text == "fine"
        wait_for_the_end_of_connections(server)

    assert len(server.connections) == 2


@pytest.mark.parametrize("fields", [{"Connection": "close"}, {"Connection": "Close, Upgrade"}])
def test_a_server_that_wants_to_close_is_not_waited_for(raw_server, fields):
    def script(connection):
        connection.respond(answer_to(connection.read_request()), headers=fields)
        connection.wait_for_end()

    server = raw_server(script)
    connection = settled(server)
    began = time.monotonic()
    for _ in range(2):
        assert call(connection).text == "fine"

    assert time.monotonic() - began < 1
    assert len(server.connections) == 2


def test_an_idle_connection_is_not_used_again(raw_server, monkeypatch):
    server = raw_server(answering)
    connection = settled(server)
    call(connection)
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0)
    call(connection)

    assert len(server.connections) == 2


def test_a_stop_after_the_answer_does_not_touch_the_kept_connection(raw_server):
    server = raw_server(answering)
    connection = settled(server)
    cancellation = Cancellation()
    with send(
        connection, Exchange(5, cancellation), "POST", server.url, {}, b'{"id": 1}'
    ) as answer:
        answer.read()
        cancellation.cancel()

    assert call(connection).text == "fine"
    assert len(server.connections) == 1


def test_each_of_a_servers_addresses_has_a_connection_of_its_own(raw_server):
    servers = [raw_server(answering) for _ in range(6)]
    connection = settled(servers[0])
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call"}).encode()

    for server in [*servers, *servers]:
        with send(connection, Exchange(5), "POST", server.url, {}, body) as answer:
            assert b"fine" in answer.read()

    assert [len(server.requests) for server in servers] == [2] * 6
    assert [len(server.connections) for server in servers] == [1] * 6


def test_an_error_of_the_reader_closes_the_connection(raw_server):
    server = raw_server(sending(head(headers={**JSON, "Content-Length": "9"}) + b"{}"))
    connection = settled(server)
    with (
        pytest.raises(LookupError),
        send(connection, Exchange(5), "POST", server.url, {}, b"{}"),
    ):
        raise LookupError
    wait_for_the_end_of_connections(server)  # the script ends only when we hang up

    server.script = answering
    assert call(connection).text == "fine"


@pytest.mark.skipif(
    not hasattr(socket, "TCP_QUICKACK"), reason="only Linux can acknowledge at once"
)
def test_a_server_that_sends_head_and_body_apart_is_not_slowed_down(raw_server):
    def script(connection):
        # With Nagle's algorithm, the body waits for the acknowledgement of the head.
        connection._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        while True:
            answer = answer_in_bytes(connection)
            connection.send(head(headers={**JSON, "Content-Length": str(len(answer))}))
            connection.send(answer)

    connection = settled(raw_server(script))
    began = time.monotonic()
    for _ in range(20):
        call(connection)

    assert time.monotonic() - began < 0.5  # 0.8 s of waiting without it
