"""The pool of threads in the web process."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from chat.executors.thread import ThreadExecutor
from chat.models import Turn
from chat.submission import send_message
from tests.chat.test_stopping import until
from tests.servers.scripted_model import text

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Callable[[], ThreadExecutor]:
    made = ThreadExecutor()
    monkeypatch.setattr("chat.submission.executor", lambda: made)
    return lambda: made


def all_done() -> bool:
    return not Turn.objects.unfinished().exists()


def test_a_message_is_answered_without_anybody_waiting(model: Any, user: Any, pool: Any) -> None:
    model(text("Good morning."))

    turn = send_message(user, None, "Hello", uuid4())
    until(all_done)

    turn.refresh_from_db()
    assert turn.status == Turn.Status.DONE


def test_more_turns_than_threads_wait_in_line(model: Any, user: Any, pool: Any) -> None:
    server = model(text("Good morning."), EXECUTOR_THREADS=2)

    for _ in range(5):
        send_message(user, None, "Hello", uuid4())
    until(all_done)

    assert len(server.requests) == 5


def test_a_turn_that_no_process_took_is_found_by_the_next_one(model: Any, ask: Any) -> None:
    model(text("Good morning."))
    ask()

    ThreadExecutor().start()
    until(all_done)

    assert Turn.objects.get().status == Turn.Status.DONE


def test_a_fault_in_one_turn_leaves_the_threads_alive(
    model: Any, user: Any, pool: Any, monkeypatch: pytest.MonkeyPatch
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
    Turn.objects.filter(pk=first.pk).update(status=Turn.Status.FAILED)

    send_message(user, None, "Hello again", uuid4())
    until(all_done)

    assert set(Turn.objects.values_list("status", flat=True)) == {"failed", "done"}
