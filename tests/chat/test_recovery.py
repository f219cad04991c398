"""What is left behind by a process that died, and what becomes of it."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from chat.context import model_messages
from chat.events import EventLog
from chat.models import Message, ToolCall, Turn, TurnEvent
from chat.recovery import recover_abandoned

pytestmark = pytest.mark.django_db


@pytest.fixture
def abandoned(ask: Any) -> Turn:
    """A turn whose process died a minute ago, in the middle of its work."""
    turn: Turn = ask("How many?")
    assert turn.claim(uuid4())
    Turn.objects.update(lease_until=timezone.now() - timedelta(minutes=1))
    turn.refresh_from_db()
    return turn


def add_answer(turn: Turn, content: str = "") -> Message:
    return Message.objects.create(
        conversation=turn.conversation, turn=turn, role=Message.Role.ASSISTANT, content=content
    )


def add_call(turn: Turn, message: Message, status: ToolCall.Status) -> ToolCall:
    return ToolCall.objects.create(
        turn=turn, message=message, call_id=uuid4().hex, function_name="f", status=status
    )


def test_a_turn_with_a_living_lease_is_left_alone(ask: Any) -> None:
    turn = ask()
    turn.claim(uuid4())

    assert recover_abandoned() == 0


def test_an_abandoned_turn_ends_and_says_why(abandoned: Turn) -> None:
    assert recover_abandoned() == 1

    abandoned.refresh_from_db()
    assert abandoned.status == Turn.Status.INTERRUPTED
    assert "restarted" in abandoned.notice
    assert abandoned.events.last().data == {"status": "interrupted"}


def test_a_second_sweep_finds_nothing(abandoned: Turn) -> None:
    recover_abandoned()

    assert recover_abandoned() == 0


def test_a_call_that_was_sent_is_unknown_and_one_in_line_was_never_sent(abandoned: Turn) -> None:
    message = add_answer(abandoned)
    sent = add_call(abandoned, message, ToolCall.Status.RUNNING)
    waiting = add_call(abandoned, message, ToolCall.Status.PENDING)
    done = add_call(abandoned, message, ToolCall.Status.SUCCEEDED)

    recover_abandoned()

    for call in (sent, waiting, done):
        call.refresh_from_db()
    assert (sent.status, waiting.status, done.status) == ("unknown", "cancelled", "succeeded")
    assert "may have done its work" in sent.error


def test_text_that_had_arrived_is_kept_and_marked(abandoned: Turn) -> None:
    message = add_answer(abandoned)
    log = EventLog(abandoned.pk)
    log.append(TurnEvent.Kind.TEXT, message=message.pk, text="There are ")
    log.append(TurnEvent.Kind.TEXT, message=message.pk, text="sev")

    recover_abandoned()

    message.refresh_from_db()
    assert (message.content, message.interrupted) == ("There are sev", True)
    assert not abandoned.events.filter(kind=TurnEvent.Kind.TEXT).exists()


def test_the_history_afterwards_has_an_answer_for_every_call(
    abandoned: Turn, settings: Any
) -> None:
    from automate.conf import conf

    message = add_answer(abandoned)
    add_call(abandoned, message, ToolCall.Status.RUNNING)
    add_call(abandoned, message, ToolCall.Status.PENDING)
    recover_abandoned()

    history = model_messages(abandoned.conversation, conf())

    asked = [each["id"] for each in history[2]["tool_calls"]]
    assert [each.get("tool_call_id") for each in history[3:]] == asked


def test_the_process_that_lost_its_turn_cannot_end_it(ask: Any) -> None:
    turn = ask()
    owner = uuid4()
    turn.claim(owner)
    Turn.objects.update(lease_until=timezone.now() - timedelta(minutes=1))
    recover_abandoned()

    assert not turn.finish(owner, Turn.Status.DONE)

    turn.refresh_from_db()
    assert turn.status == Turn.Status.INTERRUPTED
