"""One thread reads the answers of all models: what one of them sends touches no other."""

import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from automate_llm.cancellation import Cancellation
from automate_llm.exceptions import (
    ModelCancelled,
    ModelRefused,
    ModelStreamBroken,
    ModelUnavailable,
)
from automate_llm.providers import crowd, line, reader
from automate_llm.providers.base import ModelConfig, ModelRequest
from automate_llm.providers.crowd import Crowd
from automate_llm.providers.openai import OpenAIProvider
from tests.automate_llm.asking import QUESTION
from tests.servers import tls
from tests.servers.raw import chunk as http_chunk
from tests.servers.raw import head
from tests.servers.scripted_model import ScriptedModel
from tests.servers.scripted_replies import chunk, event, status, text

HEAD = head(headers={"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
SOON = 5


class Asker:
    """Asks a server for whole answers, and keeps what came meanwhile and in which thread."""

    def __init__(self, address, **options):
        self.provider = OpenAIProvider(ModelConfig("m", address, "sk-test", **options))
        self.texts, self.threads = [], set()
        self.news = threading.Semaphore(0)
        self.cancellation = Cancellation()

    def __enter__(self):
        return self

    def __exit__(self, *caught):
        self.provider.close()

    def take(self, piece):
        self.texts.append(piece)
        self.threads.add(threading.current_thread().name)
        self.news.release()

    def answer(self, take=None):
        return self.provider.answer(ModelRequest(QUESTION), self.cancellation, take or self.take)


def said(words):
    return event(chunk({"content": words}))


def answered(sends):
    """A script for a raw server: after the head, `sends(connection)`."""

    def script(connection):
        connection.read_request()
        connection.send(HEAD)
        sends(connection)

    return script


@pytest.fixture(autouse=True, params=[crowd.FEW_STREAMS, 0], ids=["alone", "crowd"])
def few_streams(request, monkeypatch):
    """Whoever is one of many waits in line for the head of the answer."""
    monkeypatch.setattr(crowd, "FEW_STREAMS", request.param)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as threads:
        yield threads


def test_a_thread_that_waits_for_a_whole_answer_is_not_woken_for_its_words(pool):
    permits = threading.Semaphore(1)
    with ScriptedModel(text("one two three").paced(permits)) as model, Asker(model.base_url) as ask:
        answer = pool.submit(ask.answer)
        for _ in range(3):
            permits.release()
            assert ask.news.acquire(timeout=SOON)
        permits.release(10)

        assert answer.result(SOON).text == "one two three"
    assert ask.texts == ["one", " two", " three"]
    assert "automate-reader" in ask.threads


@pytest.mark.parametrize("cut", [1, 30], ids=["within a chunk's size", "within a chunk"])
def test_one_answer_that_stands_still_holds_up_no_other(raw_server, pool, cut):
    go_on = threading.Event()
    body = http_chunk(said("Hello") + event("[DONE]")) + http_chunk(b"")

    def stalling(connection):
        connection.send(body[:cut])
        go_on.wait(SOON)
        connection.send(body[cut:])

    server = raw_server(answered(stalling))
    with (
        Asker(f"{server.url}/v1") as slow,
        ScriptedModel(text("Hi")) as model,
        Asker(model.base_url) as quick,
    ):
        waiting = pool.submit(slow.answer)
        assert [quick.answer().text for _ in range(5)] == ["Hi"] * 5
        assert not waiting.done()
        go_on.set()

        assert waiting.result(SOON).text == "Hello"


def test_an_answer_is_the_same_wherever_the_network_cuts_it(raw_server):
    body = said("Grüße 🙂") + b": still here\r\n\r\n" + said(" an\\alle") + event("[DONE]")
    wire = HEAD + http_chunk(body[:30]) + http_chunk(body[30:]) + http_chunk(b"")
    cuts = iter(range(1, len(wire)))

    def script(connection):
        while True:
            connection.read_request()
            at = next(cuts)
            connection.send(wire[:at])
            connection.send(wire[at:])

    with Asker(f"{raw_server(script).url}/v1") as ask:
        answers = {ask.answer().text for _ in range(1, len(wire))}

    assert answers == {"Grüße 🙂 an\\alle"}


def test_a_cancelled_answer_ends_at_once_and_closes_its_connection(pool):
    reply = text("one two").paced(threading.Semaphore(2))
    with ScriptedModel(reply) as model, Asker(model.base_url) as ask:
        answer = pool.submit(ask.answer)
        assert ask.news.acquire(timeout=SOON)
        ask.cancellation.cancel()

        assert isinstance(answer.exception(SOON), ModelCancelled)
        assert model.hung_up.wait(SOON)
    assert ask.texts == ["one"]


@pytest.mark.parametrize(
    ("ending", "whole"),
    [
        (http_chunk(event(chunk({}, "stop"))) + http_chunk(b""), True),
        (http_chunk(event("[DONE]")) + http_chunk(b""), True),
        (http_chunk(event(chunk({}, "stop"))), True),
        (http_chunk(b"data: [DONE]") + http_chunk(b""), True),
        (http_chunk(b""), False),
        (b"", False),
        (b"zz\r\n", False),
        (http_chunk(b"data: {nonsense\n\n"), False),
    ],
    ids=["finish", "done", "cut after finish", "done without line end"]
    + ["nothing", "cut", "no chunk", "no JSON"],
)
def test_an_answer_counts_as_whole_if_its_server_said_so(raw_server, ending, whole):
    server = raw_server(answered(lambda each: each.send(http_chunk(said("Hi")) + ending)))
    with Asker(f"{server.url}/v1", max_retries=0) as ask:
        if whole:
            assert ask.answer().text == "Hi"
        else:
            with pytest.raises(ModelStreamBroken):
                ask.answer()
    assert ask.texts == ["Hi"]


def test_a_server_that_falls_silent_is_waited_for_no_longer_than_said():
    began = time.monotonic()
    reply = text("one two").paced(threading.Semaphore(2))
    with ScriptedModel(reply) as model, Asker(model.base_url, timeout=0.2) as ask:
        with pytest.raises(ModelStreamBroken):
            ask.answer()
        with pytest.raises(ModelUnavailable, match=r"nothing for 0\.2 seconds"):
            model.say(text("one").paced(threading.Semaphore(0)))
            ask.answer()

    assert time.monotonic() - began < SOON


def test_a_fault_in_what_takes_one_answer_ends_no_other(pool):
    permits = threading.Semaphore(2)

    def fault(piece):
        raise LookupError(piece)

    with ScriptedModel(text("one two").paced(permits)) as model, Asker(model.base_url) as ask:
        other = pool.submit(ask.answer)
        assert ask.news.acquire(timeout=SOON)
        model.say(text("Hi"))
        with pytest.raises(LookupError, match="Hi"):
            ask.answer(fault)
        permits.release(10)

        assert other.result(SOON).text == "one two"


def test_an_answer_comes_over_tls(raw_server, tmp_path, monkeypatch):
    certificate = tls.certificate(tmp_path / "both.pem")
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    line._tls.cache_clear()
    long = "x" * 50_000
    body = said("Hello ") + said(long) + event("[DONE]")

    def script(connection):
        while True:
            connection.read_request()
            connection.send(HEAD + http_chunk(body[:9]))
            connection.send(http_chunk(body[9:]) + http_chunk(b""))

    server = tls.inside_tls(raw_server, certificate)(script)
    try:
        with Asker(f"{server.url}/v1") as ask:
            for _ in range(3):
                assert ask.answer().text == f"Hello {long}"
    finally:
        line._tls.cache_clear()

    assert len(server.connections) == 1
    assert "Hello " in ask.texts


def test_two_hundred_answers_are_read_by_one_thread(monkeypatch):
    monkeypatch.setattr(crowd, "FEW_STREAMS", 20)
    everyone = threading.Barrier(201)

    def reply(request):
        everyone.wait(60)
        return text(f"{request.messages[-1]['content']} two three")

    def asked(number):
        question = [{"role": "user", "content": f"one{number}"}]
        return ask.provider.answer(ModelRequest(question), Cancellation(), ask.take).text

    with (
        ThreadPoolExecutor(200) as many,
        ScriptedModel(reply) as model,
        Asker(model.base_url) as ask,
    ):
        answers = many.map(asked, range(200))
        everyone.wait(60)
        readers = {each for each in threading.enumerate() if each.name == "automate-reader"}

        assert list(answers) == [f"one{number} two three" for number in range(200)]
    assert len(readers) <= 1
    assert len(" ".join(ask.texts).split()) == 600
    assert Crowd().pause == crowd.crowd.pause == 0


def test_a_thread_that_ran_out_of_time_in_line_ends_no_other(pool):
    permits = threading.Semaphore(2)
    with ScriptedModel(text("one two").paced(permits)) as model, Asker(model.base_url) as ask:
        other = pool.submit(ask.answer)
        assert ask.news.acquire(timeout=SOON)
        ours, theirs = socket.socketpair()
        arrival = reader.Arrival(ours)
        with pytest.raises(httpx2.ReadTimeout):
            arrival.wait(0)
        ours.close()
        theirs.close()

        arrival.advance(time.monotonic())  # as the reader does that has found it before

        permits.release(10)
        assert other.result(SOON).text == "one two"


def test_answers_that_are_errors_stop_nobody_in_line(pool, monkeypatch):
    monkeypatch.setattr(reader, "ARRIVALS_AT_ONCE", 1)
    everyone = threading.Barrier(9)

    def reply(request):
        everyone.wait(60)
        number = int(request.messages[-1]["content"])
        return status(401, {"error": {"message": "No."}}) if number % 2 else text(f"Hi {number}")

    def asked(number):
        question = [{"role": "user", "content": str(number)}]
        try:
            return ask.provider.answer(ModelRequest(question), Cancellation(), ask.take).text
        except ModelRefused:
            return "refused"

    with ScriptedModel(reply) as model, Asker(model.base_url) as ask:
        answers = pool.map(asked, range(8))
        everyone.wait(60)

        assert [*answers] == [f"Hi {n}" if n % 2 == 0 else "refused" for n in range(8)]


def test_an_answer_that_comes_whole_with_its_head_lets_the_next_one_in(raw_server, monkeypatch):
    said_so = threading.Semaphore(0)
    monkeypatch.setattr(reader.reader, "is_in", said_so.release)
    body = http_chunk(said("Hi") + event("[DONE]")) + http_chunk(b"")

    def script(connection):
        while True:
            connection.read_request()
            connection.send(HEAD + body)

    with Asker(f"{raw_server(script).url}/v1") as ask:
        for _ in range(5):
            assert ask.answer().text == "Hi"
            assert said_so.acquire(timeout=SOON)


def test_the_thread_ends_when_nothing_streams_any_more(monkeypatch):
    monkeypatch.setattr(reader, "IDLE_SECONDS", 0.01)
    with ScriptedModel(text("Hi")) as model, Asker(model.base_url) as ask:
        for _ in range(3):
            assert ask.answer().text == "Hi"
            for each in threading.enumerate():
                if each.name == "automate-reader":
                    each.join(SOON)

    assert reader.reader._selector is None


def test_where_the_system_cannot_do_it_the_waiting_thread_reads(monkeypatch):
    monkeypatch.setattr(reader, "IS_SUPPORTED", False)
    with ScriptedModel(text("Hi")) as model, Asker(model.base_url) as ask:
        assert ask.answer().text == "Hi"

    assert ask.threads == {threading.current_thread().name}


def test_a_forked_child_reads_its_own_answers_and_leaves_the_parents_alone():
    code = """
import os, socket, threading
from automate_llm.providers.connection import Connection, Request
from automate_llm.providers.reader import Reading

class Answer:
    def __init__(self):
        ours, self.server = socket.socketpair()
        self.server.sendall(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")
        self.connection = Connection(ours, None)
        self.connection.send(Request(b"anything"), 5)
        self.connection.head(5)
        self.taken = threading.Event()

    def take(self, piece):
        self.taken.set()
        return piece != b"end"

    def read(self):
        list(Reading(self.connection, self.take).texts(5))

parents = Answer()
thread = threading.Thread(target=parents.read)
thread.start()
parents.server.sendall(b"3\\r\\none\\r\\n")
assert parents.taken.wait(5)
child = os.fork()
if not child:
    own = Answer()
    own.server.sendall(b"3\\r\\nend\\r\\n")
    own.read()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
parents.server.sendall(b"3\\r\\nend\\r\\n")
thread.join(5)
assert not thread.is_alive()
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
