"""The pool of threads in the web process."""

import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from chat.executors import executor
from chat.executors.thread import ThreadExecutor
from chat.executors.upkeep import Upkeep
from chat.models import Conversation, Turn
from chat.submission import send_message
from chat.sweeping import sweep
from tests.chat.test_stopping import until
from tests.servers.scripted_replies import silence, text

from .rows import put

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadExecutor]:
    made = ThreadExecutor()
    monkeypatch.setattr("chat.queueing.executor", lambda: made)
    yield made
    made.stop()


def all_done() -> bool:
    return not Turn.objects.unfinished().exists()


@pytest.mark.parametrize("threads", [0, 1, 8])
def test_a_message_is_answered_without_anybody_waiting(
    model: Any, user: Any, pool: ThreadExecutor, threads: int
) -> None:
    model(text("Good morning."), EXECUTOR_THREADS=threads)

    turn = send_message(user, None, "Hello", uuid4())
    until(all_done)

    turn.refresh_from_db()
    assert turn.status == Turn.Status.DONE


def test_more_turns_than_threads_wait_in_line(model: Any, user: Any, pool: ThreadExecutor) -> None:
    server = model(text("Good morning."), EXECUTOR_THREADS=2)

    for _ in range(5):
        send_message(user, None, "Hello", uuid4())
    until(all_done)

    assert len(server.requests) == 5


def test_a_turn_that_no_process_took_is_found_by_the_next_one(
    model: Any, ask: Any, pool: ThreadExecutor
) -> None:
    model(text("Good morning."))
    ask()

    pool.start()
    until(all_done)

    assert Turn.objects.get().status == Turn.Status.DONE


def test_a_fault_in_one_turn_leaves_the_threads_alive(
    model: Any, user: Any, pool: ThreadExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = threading.Event()

    def explode(turn_id: Any) -> None:
        met.set()
        raise RuntimeError("the database is away")

    model(text("Good morning."), EXECUTOR_THREADS=1)
    with monkeypatch.context() as patched:
        patched.setattr("chat.executors.thread.run_turn", explode)
        first = send_message(user, None, "Hello", uuid4())
        assert met.wait(10)
    put(first, Turn.Status.FAILED)

    send_message(user, None, "Hello again", uuid4())
    until(all_done)

    assert set(Turn.objects.values_list("status", flat=True)) == {"failed", "done"}


def test_turns_of_dead_processes_are_found_while_every_thread_is_busy(
    model: Any, user: Any, pool: ThreadExecutor
) -> None:
    release = threading.Event()
    server = model(silence(release, text("At last.")), EXECUTOR_THREADS=1, LEASE_SECONDS=2.0)
    send_message(user, None, "Hello", uuid4())
    until(lambda: server.requests)
    left = Turn.objects.create(conversation=Conversation.objects.create(user=user))
    put(left, Turn.Status.RUNNING, lease_until=timezone.now() - timedelta(minutes=1))

    until(lambda: Turn.objects.filter(pk=left.pk, status=Turn.Status.QUEUED).exists())
    release.set()
    until(all_done)


def test_a_turn_that_is_found_again_and_again_stands_in_line_once(
    model: Any, user: Any, pool: ThreadExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Any] = []
    release, busy = threading.Event(), threading.Event()

    def run(turn_id: Any) -> None:
        put(Turn.objects.get(pk=turn_id), Turn.Status.RUNNING)
        busy.set()
        assert release.wait(10)
        ran.append(turn_id)

    monkeypatch.setattr("chat.executors.thread.run_turn", run)
    # The sweep is called here, in the test's thread: one that listed the turn before it was taken
    # and submits it afterwards puts it in line anew, which only the turn's row makes harmless.
    monkeypatch.setattr(pool, "_upkeep", Upkeep("thread", lambda turns: None))
    model(text("Good morning."), EXECUTOR_THREADS=1)
    first = send_message(user, None, "Hello", uuid4())
    assert busy.wait(10)
    second = send_message(user, None, "Hello", uuid4())

    for _ in range(3):
        pool.take(sweep().queued)
    release.set()
    until(lambda: second.pk in ran)
    pool.stop()

    assert ran == [first.pk, second.pk]


def test_a_fork_has_an_executor_of_its_own() -> None:
    here = executor()

    child = os.fork()
    if child == 0:
        os._exit(0 if executor() is not here else 1)
    _, status = os.waitpid(child, 0)

    assert status == 0
    assert executor() is here
