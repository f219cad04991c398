"""What is left behind by a process that died, and what becomes of it."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError

from automate.models import MCPServer, MCPTool
from chat import recovery
from chat.context import model_messages
from chat.events import EventLog
from chat.models import Message, ToolCall, Turn, TurnEvent
from chat.recovery import recover_abandoned

from .rows import let_lease_run_out

pytestmark = pytest.mark.django_db


@pytest.fixture
def abandoned(ask: Any) -> Turn:
    """A turn whose process died a minute ago, in the middle of its work."""
    turn: Turn = ask("How many?")
    assert turn.claim(uuid4())
    let_lease_run_out()
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


@pytest.mark.django_db(transaction=True)
def test_an_abandoned_turn_goes_back_in_line(abandoned: Turn, executor: Any) -> None:
    executor.turn_ids.clear()

    assert recover_abandoned() == 1

    abandoned.refresh_from_db()
    assert (abandoned.status, abandoned.lease_owner) == (Turn.Status.QUEUED, None)
    assert executor.turn_ids == [abandoned.pk]


def test_a_turn_that_ends_its_process_each_time_is_given_up(abandoned: Turn) -> None:
    Turn.objects.update(attempt=3)

    recover_abandoned()

    abandoned.refresh_from_db()
    assert abandoned.status == Turn.Status.INTERRUPTED
    assert "restarted" in abandoned.notice
    assert abandoned.events.last().data == {"status": "interrupted"}


def test_an_abandoned_turn_that_was_to_be_stopped_is(abandoned: Turn) -> None:
    abandoned.request_cancel()

    recover_abandoned()

    abandoned.refresh_from_db()
    assert abandoned.status == Turn.Status.CANCELLED


def test_a_second_sweep_finds_nothing(abandoned: Turn) -> None:
    recover_abandoned()

    assert recover_abandoned() == 0


def test_a_call_that_was_sent_is_unknown_and_waits_for_a_word(abandoned: Turn) -> None:
    message = add_answer(abandoned)
    sent = add_call(abandoned, message, ToolCall.Status.RUNNING)
    in_line = add_call(abandoned, message, ToolCall.Status.PENDING)
    done = add_call(abandoned, message, ToolCall.Status.SUCCEEDED)

    recover_abandoned()

    for row in (abandoned, sent, in_line, done):
        row.refresh_from_db()
    assert (sent.status, in_line.status, done.status) == ("unknown", "pending", "succeeded")
    assert "may have done its work" in sent.error
    assert abandoned.status == Turn.Status.WAITING
    assert abandoned.events.last().kind == TurnEvent.Kind.WAITING


@pytest.mark.parametrize(
    ("effect", "hint", "becomes"),
    [
        (MCPTool.Effect.IDEMPOTENT, {}, "pending"),
        (MCPTool.Effect.READ_ONLY, {}, "pending"),
        (MCPTool.Effect.WRITE, {"readOnlyHint": True}, "unknown"),
        (MCPTool.Effect.UNSAID, {"readOnlyHint": True, "idempotentHint": True}, "unknown"),
    ],
)
def test_only_the_operators_word_lets_a_call_be_sent_again(
    abandoned: Turn, effect: str, hint: dict[str, bool], becomes: str
) -> None:
    server = MCPServer.objects.create(name="A", slug="a", endpoint_url="https://a.example")
    tool = MCPTool.objects.create(server=server, name="f", effect=effect, annotations=hint)
    call = add_call(abandoned, add_answer(abandoned), ToolCall.Status.RUNNING)
    ToolCall.objects.update(tool=tool)

    recover_abandoned()

    call.refresh_from_db()
    assert call.status == becomes


def test_text_that_had_arrived_is_kept_and_marked(abandoned: Turn) -> None:
    message = add_answer(abandoned)
    log = EventLog(abandoned.pk)
    log.append(TurnEvent.Kind.TEXT, message=message.pk, text="There are ")
    log.append(TurnEvent.Kind.TEXT, message=message.pk, text="sev")

    recover_abandoned()

    message.refresh_from_db()
    assert (message.content, message.interrupted) == ("There are sev", True)


def test_the_history_afterwards_has_an_answer_for_every_call(
    abandoned: Turn, settings: Any
) -> None:
    from automate.conf import conf

    message = add_answer(abandoned)
    add_call(abandoned, message, ToolCall.Status.RUNNING)
    add_call(abandoned, message, ToolCall.Status.PENDING)
    recover_abandoned()

    history = model_messages(abandoned, conf())

    asked = [each["id"] for each in history[2]["tool_calls"]]
    assert [each.get("tool_call_id") for each in history[3:]] == asked


def test_the_process_that_lost_its_turn_cannot_end_it(ask: Any) -> None:
    turn = ask()
    owner = uuid4()
    turn.claim(owner)
    let_lease_run_out()
    recover_abandoned()

    assert not turn.finish(owner, Turn.Status.DONE)

    turn.refresh_from_db()
    assert turn.status == Turn.Status.QUEUED


def test_a_turn_that_cannot_be_recovered_keeps_no_other_from_it(
    abandoned: Turn, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ask()
    assert other.claim(uuid4())
    let_lease_run_out()
    keep = recovery.keep_partial_text

    def odd(turn: Turn) -> None:
        if turn == abandoned:
            raise DatabaseError("an odd row")
        keep(turn)

    monkeypatch.setattr(recovery, "keep_partial_text", odd)

    assert recover_abandoned() == 1

    abandoned.refresh_from_db()
    other.refresh_from_db()
    assert (abandoned.status, other.status) == (Turn.Status.RUNNING, Turn.Status.QUEUED)
