import itertools

import pytest
import requests

from .raw import RawServer, chunk, head
from .threads import threads_begun


def test_a_script_answers_each_request_of_a_connection(raw_server):
    def script(connection):
        while True:
            connection.respond({"asked": connection.read_request().body})

    server = raw_server(script)
    with requests.Session() as session:
        answers = [session.post(server.url, json=number, timeout=5).json() for number in (1, 2)]

    assert answers == [{"asked": 1}, {"asked": 2}]
    assert len(server.connections) == 1
    assert [seen.body for seen in server.requests] == [1, 2]


def test_bytes_go_out_as_the_script_sends_them(raw_server):
    def script(connection):
        connection.read_request()
        connection.send(head(headers={"Transfer-Encoding": "chunked"}))
        connection.send(chunk(b"one ") + chunk(b"two") + chunk(b""))

    assert requests.get(raw_server(script).url, timeout=5).text == "one two"


def test_an_answer_may_end_half_way(raw_server):
    def script(connection):
        connection.read_request()
        connection.send(head(headers={"Content-Length": "100"}) + b"only this")

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(raw_server(script).url, timeout=5)


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_connection_may_end_without_an_answer(raw_server, end):
    def script(connection):
        connection.read_request()
        getattr(connection, end)()

    with pytest.raises(requests.ConnectionError):
        requests.get(raw_server(script).url, timeout=5)


@pytest.mark.parametrize("pause", [0, 30])
def test_an_endless_answer_ends_with_the_server(pause):
    def script(connection):
        connection.read_request()
        connection.send(head(headers={"Transfer-Encoding": "chunked"}))
        connection.drip(itertools.repeat(chunk(b"more")), pause)

    with threads_begun() as left:
        server = RawServer(script)
        with requests.get(server.url, timeout=5, stream=True) as answer:
            assert next(answer.iter_content(4)) == b"more"
            server.stop()

        assert not left()


def test_silence_ends_with_the_server():
    with threads_begun() as left:
        server = RawServer(lambda connection: connection.wait_for_end())
        with pytest.raises(requests.ReadTimeout):
            requests.get(server.url, timeout=0.05)
        server.stop()

        assert not left()


def test_a_script_that_fails_fails_its_test():
    def script(connection):
        raise LookupError("a mistake in a test")

    server = RawServer(script)
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=5)

    with pytest.raises(LookupError, match="a mistake in a test"):
        server.stop()
