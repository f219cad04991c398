"""Django signals: sent after the commit, with the row as it is, harmless whatever receivers do."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.dispatch import Signal
from django.utils import timezone

from chat import signals
from chat.decisions import approve, deny, resolve
from chat.engine import run_turn
from chat.models import Approval, ToolCall, Turn
from chat.recovery import recover_abandoned
from chat.submission import send_message, stop_turn
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, status, text

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = sorted(name for name, value in vars(signals).items() if isinstance(value, Signal))


@pytest.fixture
def heard() -> Iterator[list[tuple[str, str]]]:
    """Every signal with the status of its row, in order."""
    said: list[tuple[str, str]] = []
    with ExitStack() as connected:
        for name in NAMES:
            signal: Signal = getattr(signals, name)
            receiver = _receiver(name, said)
            signal.connect(receiver)
            connected.callback(signal.disconnect, receiver)
        yield said


def _receiver(name: str, said: list[tuple[str, str]]) -> Callable[..., None]:
    def receive(sender: Any, signal: Signal, **told: Any) -> None:
        assert not connection.in_atomic_block
        ((argument, row),) = told.items()
        assert argument == name.split("_")[0]
        assert isinstance(row, sender)
        said.append((name, row.status))

    return receive


def test_a_turn_with_a_call_is_told_from_beginning_to_end(
    model: Any, ask: Any, shop: Any, heard: Any
) -> None:
    shop(Offer("echo"))
    model([calls(("shop__echo", {}), ("shop__gone", {})), text("Done.")])

    run_turn(ask().pk)

    assert heard == [
        ("turn_started", "running"),
        ("call_started", "running"),
        ("call_finished", "refused"),
        ("call_finished", "succeeded"),
        ("turn_finished", "done"),
    ]


def test_a_turn_that_fails_is_told_with_its_status(model: Any, ask: Any, heard: Any) -> None:
    model([status(400, {"error": {"message": "no"}})])

    run_turn(ask().pk)

    assert heard[-1] == ("turn_finished", "failed")


@pytest.mark.parametrize("allowed", [True, False])
def test_an_approval_is_told_when_it_is_asked_for_and_when_it_is_decided(
    model: Any, ask: Any, shop: Any, user: Any, heard: Any, allowed: bool
) -> None:
    shop(Offer("order"))
    model([calls(("shop__order", {})), text("Done.")], APPROVAL_DEFAULT="ask")
    turn = ask()
    run_turn(turn.pk)
    assert heard[1:] == [("approval_requested", "waiting"), ("turn_waiting", "waiting")]
    heard.clear()

    (approve if allowed else deny)(Approval.objects.get(), user)
    run_turn(turn.pk)

    if allowed:
        decided = [("approval_decided", "approved")]
        made = [("call_started", "running"), ("call_finished", "succeeded")]
    else:
        decided = [("approval_decided", "denied"), ("call_finished", "refused")]
        made = []
    assert heard == [*decided, ("turn_started", "running"), *made, ("turn_finished", "done")]


def test_a_decision_that_is_rolled_back_is_not_told(
    model: Any, ask: Any, shop: Any, user: Any, heard: Any
) -> None:
    shop(Offer("order"))
    model([calls(("shop__order", {}))], APPROVAL_DEFAULT="ask")
    run_turn(ask().pk)
    heard.clear()

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        approve(Approval.objects.get(), user)
        raise ZeroDivisionError

    assert heard == []


def test_a_turn_that_its_process_left_is_told_by_who_takes_it(
    model: Any, ask: Any, shop: Any, user: Any, heard: Any
) -> None:
    shop(Offer("order"))
    model([calls(("shop__order", {})), text("Done.")])
    turn = ask()
    run_turn(turn.pk)
    turn.refresh_from_db()
    past = timezone.now() - timedelta(hours=1)
    Turn.objects.filter(pk=turn.pk).update(
        status="running", occupies=turn.conversation_id, lease_owner=turn.pk, lease_until=past
    )
    ToolCall.objects.update(status="running")
    heard.clear()

    recover_abandoned()
    resolve(ToolCall.objects.get(), user, "done")

    assert heard == [
        ("call_finished", "unknown"),
        ("turn_waiting", "waiting"),
        ("call_finished", "succeeded"),
    ]


def test_a_turn_that_is_stopped_while_it_waits_is_told(
    model: Any, ask: Any, shop: Any, heard: Any
) -> None:
    shop(Offer("order"))
    model([calls(("shop__order", {}))], APPROVAL_DEFAULT="ask")
    turn = ask()
    run_turn(turn.pk)
    heard.clear()

    stop_turn(turn)

    assert heard == [("call_finished", "cancelled"), ("turn_finished", "cancelled")]


def test_a_receiver_that_fails_hurts_no_turn(
    model: Any, ask: Any, shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**told: Any) -> None:
        raise ZeroDivisionError

    def break_the_database(**told: Any) -> None:
        Turn.objects.raw("SELECT nothing FROM nowhere")[0]

    shop(Offer("echo"))
    model([calls(("shop__echo", {})), text("Done.")])
    turn = ask()
    with ExitStack() as connected:
        for signal in (signals.turn_started, signals.call_started, signals.call_finished):
            for receiver in (fail, break_the_database):
                signal.connect(receiver)
                connected.callback(signal.disconnect, receiver)
        run_turn(turn.pk)

    turn.refresh_from_db()
    assert (turn.status, turn.tool_calls.get().status) == ("done", "succeeded")
    assert "ZeroDivisionError" in caplog.text


def test_where_nobody_listens_no_statement_is_made(
    model: Any, ask: Any, shop: Any, heard: Any, django_assert_max_num_queries: Any
) -> None:
    shop(Offer("echo"))
    model([calls(("shop__echo", {})), text("Done.")] * 3)
    run_turn(ask().pk)
    heard.clear()
    with django_assert_max_num_queries(200) as listened:
        run_turn(ask().pk)
    for name in NAMES:
        signal: Signal = getattr(signals, name)
        signal.receivers.clear()

    with django_assert_max_num_queries(200) as alone:
        run_turn(ask().pk)

    assert len(listened) - len(alone) == len(heard) == 4


def test_every_signal_is_documented() -> None:
    from pathlib import Path

    page = (Path(__file__).parent.parent.parent / "docs/signals.md").read_text()

    assert [name for name in NAMES if f"| `{name}` |" not in page] == []
    assert len(NAMES) == 9


def test_a_receiver_may_wait_for_another_thread_that_writes(
    model: Any, ask: Any, user: Any
) -> None:
    model([text("Hello.")])
    turn = ask()
    sent: list[Turn] = []

    def send() -> None:
        try:
            sent.append(send_message(user, None, "From elsewhere", uuid4()))
        finally:
            connection.close()

    def receive(**told: Any) -> None:
        thread = threading.Thread(target=send)
        thread.start()
        thread.join(10)

    signals.turn_finished.connect(receive)
    try:
        run_turn(turn.pk)
    finally:
        signals.turn_finished.disconnect(receive)

    assert len(sent) == 1
