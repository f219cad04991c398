"""Wake-ups in one process: none for what was taken back, and none that must arrive."""

from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import transaction

import config.asgi  # noqa: F401  # sets up the logging anew, which `caplog` would not outlive
from chat.events import EventLog
from chat.models import Turn, TurnEvent
from chat.wake_ups import ThreadListener, wake_ups

from .hearing import Waiter, hears
from .test_stopping import until
from .test_streams import an_answer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def turn(ask: Any) -> Turn:
    turn: Turn = ask("How many mugs?")
    assert turn.claim(turn.pk)
    return turn


def test_a_word_of_a_transaction_that_is_taken_back_is_never_said(carried: str, turn: Turn) -> None:
    wake_ups.close()
    waiter = Waiter()
    with wake_ups.listen(turn.pk, waiter.wake):
        waiter.wait_for(1)
        message = an_answer(turn)
        with pytest.raises(RuntimeError), transaction.atomic():
            EventLog(turn.pk).append(TurnEvent.Kind.TEXT, message=message.pk, text="never")
            raise RuntimeError
        until(lambda: hears(turn))
        # It heard itself say one thing, here and by the carrier, and nothing before that.
        first = len(waiter.woken_at)

    assert not turn.events.exists()
    assert first <= 3
    wake_ups.close()


def test_a_redis_that_was_never_there_stops_nobody(
    settings: Any, turn: Turn, caplog: pytest.LogCaptureFixture
) -> None:
    settings.AUTOMATE = {**settings.AUTOMATE, "REDIS_URL": "redis://127.0.0.1:1/0"}
    wake_ups.close()
    message, log, listener = an_answer(turn), EventLog(turn.pk), ThreadListener()
    with wake_ups.listen(turn.pk, listener.wake):
        for _ in range(50):
            log.append(TurnEvent.Kind.TEXT, message=message.pk, text="mug ")
        listener.wait()  # it still hears its own process
    wake_ups.close()

    assert turn.events.count() == 50
    complaints = [each for each in caplog.records if "Redis takes no wake-ups" in each.getMessage()]
    assert len(complaints) == 1


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ({"WAKE_UPS": "pigeon"}, "none that we know"),
        ({"WAKE_UPS": "redis"}, "is empty"),
    ],
)
def test_a_carrier_that_cannot_work_is_found_by_the_check(
    settings: Any, chosen: dict[str, Any], problem: str
) -> None:
    settings.AUTOMATE = {**settings.AUTOMATE, **chosen}

    found = [each for each in run_checks() if each.id == "automate.E010"]

    assert len(found) == 1
    assert problem in str(found[0].msg)
