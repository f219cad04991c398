"""One thread writes the text of all answers: what one of them meets costs no other its text."""

import threading
from typing import Any

import pytest
from django.db import InterfaceError

from chat import scribe
from chat.models import TurnEvent
from tests.servers.scripted_replies import text

from .test_stopping import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "fault", [InterfaceError("connection already closed"), RuntimeError("odd")]
)
def test_a_fault_costs_one_round_and_no_more(
    model: Any, ask: Any, started: Any, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    permits, faults, insert = threading.Semaphore(0), [fault], scribe.insert

    def failing(*parts: Any, **named: Any) -> None:
        if faults:
            raise faults.pop()
        insert(*parts, **named)

    monkeypatch.setattr(scribe, "insert", failing)
    model([text("one two three four five").paced(permits)])
    turn = ask()
    thread = started(turn)
    permits.release(3)  # the role and two words
    until(lambda: not faults)

    permits.release(1)

    until(lambda: "three" in "".join(each.data["text"] for each in _texts(turn)))
    permits.release(10)
    thread.join(5)
    assert not thread.is_alive()
    assert turn.messages.last().content == "one two three four five"


def test_a_message_whose_first_text_could_not_be_stored_is_made_once(
    model: Any, ask: Any, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    permits, tries = threading.Semaphore(2), threading.Semaphore(0)

    def failing(*parts: Any, **named: Any) -> None:
        tries.release()
        raise InterfaceError("connection already closed")

    monkeypatch.setattr(scribe, "insert", failing)
    model([text("one two").paced(permits)])
    turn = ask()
    thread = started(turn)
    for _ in range(2):
        assert tries.acquire(timeout=10)

    permits.release(10)
    thread.join(10)

    assert not thread.is_alive()
    assert [each.content for each in turn.messages.filter(role="assistant")] == ["one two"]


def _texts(turn: Any) -> Any:
    return turn.events.filter(kind=TurnEvent.Kind.TEXT)
