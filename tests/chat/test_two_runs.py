"""A turn that two runs have at one time, one after another, or after everything was said."""

import threading
from typing import Any

import pytest

from chat import running
from chat.engine import run_turn
from chat.events import EventLog
from chat.models import Conversation, Turn
from chat.recovery import recover_abandoned
from chat.submission import stop_turn
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, silence, text

from .rows import let_lease_run_out
from .test_stopping import until

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """What a kill looks like from inside."""


def test_a_last_answer_and_the_end_of_its_turn_are_stored_at_once_or_not_at_all(
    model: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*parts: Any) -> None:
        raise Killed

    server = model([text("Nine."), text("Nine, as I said.")])
    turn = ask("How many?")
    with monkeypatch.context() as patch:
        patch.setattr(EventLog, "fold_text", die)  # by then all rows are written
        with pytest.raises(Killed):
            run_turn(turn.pk)
    turn.refresh_from_db()
    assert turn.status == Turn.Status.RUNNING
    assert "Nine." not in [each.content for each in turn.messages.all()]
    let_lease_run_out()
    assert recover_abandoned() == 1

    run_turn(turn.pk)

    turn.refresh_from_db()
    assert turn.status == Turn.Status.DONE
    said = [each.content for each in turn.messages.all() if not each.interrupted]
    assert said == ["How many?", "Nine, as I said."]
    assert len(server.requests) == 2
    assert turn.events.last().data == {"status": "done"}


def test_a_run_that_read_its_turn_before_another_one_had_it_leaves_it(
    model: Any, ask: Any, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(Offer("order"))
    model([calls(("shop__order", {})), text("Done.")])
    turn = ask()
    late = Turn.objects.get(pk=turn.pk)
    assert turn.claim(turn.pk)
    let_lease_run_out()
    assert recover_abandoned() == 1

    assert not late.claim(late.pk)
    assert Turn.objects.get(pk=turn.pk).claim(turn.pk)


def test_a_run_that_comes_back_from_the_dead_leaves_the_next_one_of_its_process_alone(
    model: Any, ask: Any, started: Any
) -> None:
    first, second = threading.Event(), threading.Event()
    server = model([silence(first), silence(second)])
    turn = ask()
    old = started(turn)
    until(lambda: len(server.requests) == 1)
    let_lease_run_out()
    assert recover_abandoned() == 1
    new = started(turn)
    until(lambda: len(server.requests) == 2)
    first.set()
    old.join(10)

    assert running.turns_running() == 1
    stop_turn(turn)
    new.join(5)
    second.set()

    assert not new.is_alive()
    turn.refresh_from_db()
    assert turn.status == Turn.Status.CANCELLED
    assert running.turns_running() == 0


def test_a_model_is_left_when_its_conversation_is_deleted(
    model: Any, ask: Any, started: Any
) -> None:
    release = threading.Event()
    server = model([silence(release)])
    thread = started(ask())
    until(lambda: server.requests and all(each.was_seen for each in running._turns.values()))

    Conversation.objects.all().delete()

    thread.join(5)
    release.set()
    assert not thread.is_alive()


def test_a_watch_that_ended_for_any_reason_is_started_again(
    model: Any, ask: Any, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join()
    until(lambda: running._watcher is None)
    monkeypatch.setattr(running, "_watcher", ended)
    release = threading.Event()
    server = model([silence(release)])
    turn = ask()
    thread = started(turn)
    until(lambda: server.requests)

    turn.request_cancel()
    thread.join(10)
    release.set()

    turn.refresh_from_db()
    assert turn.status == Turn.Status.CANCELLED
