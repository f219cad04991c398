import threading

import pytest

from automate_llm.breaker import FAILURES, PAUSE_SECONDS, WINDOW_SECONDS, Breaker, breaker_of
from automate_llm.exceptions import (
    CallCancelled,
    ConnectionFailed,
    DeadlineExceeded,
    ProtocolError,
    RPCError,
    UnexpectedStatus,
)
from automate_llm.mcp_client import MCPClient

from .calling import answering, call, failure, settled

FAULTS = [ConnectionFailed("x"), DeadlineExceeded("x"), UnexpectedStatus("x", 500)]
ANSWERS = [UnexpectedStatus("x", 401), RPCError("x", -32602)]


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(clock)


def ends(breaker, error=None):
    """One call through the breaker; tells whether it was let through."""
    reached = False
    try:
        with breaker.guarding():
            reached = True
            if error is not None:
                raise error
    except Exception as exc:  # whichever the breaker raises or lets through
        assert reached == (exc is error)
    return reached


@pytest.mark.parametrize("fault", FAULTS)
def test_it_opens_after_five_failures(breaker, fault):
    assert [ends(breaker, fault) for _ in range(FAILURES + 2)] == [True] * FAILURES + [False] * 2


def test_failures_that_are_further_apart_than_the_window_do_not_open_it(breaker, clock):
    for _ in range(3 * FAILURES):
        assert ends(breaker, FAULTS[0])
        clock.now += WINDOW_SECONDS / (FAILURES - 1)


def test_an_open_one_says_when_it_tries_again_and_that_nothing_ran(breaker, clock):
    for _ in range(FAILURES):
        ends(breaker, FAULTS[0])
    clock.now += 5

    with pytest.raises(ConnectionFailed, match="tried again in 10 s") as caught, breaker.guarding():
        pass
    assert not caught.value.may_have_run


def test_one_call_tries_after_the_pause_and_its_success_closes_it(breaker, clock):
    for _ in range(FAILURES):
        ends(breaker, FAULTS[0])
    clock.now += PAUSE_SECONDS
    with breaker.guarding():
        assert not ends(breaker)

    assert all(ends(breaker) for _ in range(3))


def test_a_failing_try_opens_it_for_another_pause(breaker, clock):
    for _ in range(FAILURES):
        ends(breaker, FAULTS[0])
    clock.now += PAUSE_SECONDS

    assert ends(breaker, FAULTS[0])
    assert not ends(breaker)
    clock.now += PAUSE_SECONDS
    assert ends(breaker)


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_refusal_is_an_answer_and_closes_it(breaker, clock, answer):
    for _ in range(3 * FAILURES):
        assert ends(breaker, answer)
    for _ in range(FAILURES):
        ends(breaker, FAULTS[0])
    clock.now += PAUSE_SECONDS
    ends(breaker, answer)

    assert all(ends(breaker) for _ in range(3))


@pytest.mark.parametrize("error", [CallCancelled("x"), ProtocolError("x"), ValueError("x")])
def test_what_says_nothing_about_the_server_changes_nothing(breaker, error):
    for _ in range(FAILURES - 1):
        ends(breaker, FAULTS[0])
    for _ in range(FAILURES):
        assert ends(breaker, error)
    ends(breaker, FAULTS[0])

    assert not ends(breaker)


def test_many_threads_get_one_try(breaker, clock):
    for _ in range(FAILURES):
        ends(breaker, FAULTS[0])
    clock.now += PAUSE_SECONDS
    together, let_through = threading.Barrier(8), []

    def attempt():
        together.wait()
        let_through.append(ends(breaker, CallCancelled("x")))

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(let_through) == 1


def test_servers_have_breakers_of_their_own():
    assert breaker_of("a", "http://a/") is breaker_of("a", "http://a/")
    assert breaker_of("a", "http://a/") is not breaker_of("b", "http://a/")
    assert breaker_of("a", "http://a/") is not breaker_of("a", "http://b/")


def test_a_dead_server_is_left_alone_until_a_sync_reaches_it(raw_server, rest_server):
    server = raw_server(lambda connection: connection.close())
    connection = settled(server)
    for _ in range(FAILURES):
        failure(connection)
    dialled = len(server.connections)
    error = failure(connection)

    assert "failed 5 times" in str(error)
    assert len(server.connections) == dialled
    breaker_of(connection.slug, connection.endpoint_url).reset()
    server.script = answering
    assert call(connection).text == "fine"


def test_a_sync_closes_the_breaker(rest_server):
    server = rest_server([], lambda tool, arguments: "done")
    server.refuse_with = 503
    connection = settled(server, protocol="rest")
    for _ in range(FAILURES):
        failure(connection)
    server.refuse_with = 0
    assert "failed 5 times" in str(failure(connection))

    MCPClient(connection).discover()

    assert call(connection).value == "done"
