"""Two that change the same rows at one moment: each has its way in the end."""

import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F

from chat import recovery
from chat.connections import lasting
from chat.models import ToolCall, Turn
from chat.recovery import recover_abandoned
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, silence

from .rows import let_lease_run_out

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time"),
]


@pytest.mark.parametrize("stops", [False, True])
def test_a_result_and_a_sweep_that_both_hold_a_lock_wait_in_one_order(
    model: Any, ask: Any, shop: Any, started: Any, monkeypatch: pytest.MonkeyPatch, stops: bool
) -> None:
    shop(Offer("order"))
    moved, swept, over = threading.Event(), threading.Event(), threading.Event()
    # MariaDB has the lease's end wait for the result: what comes after it must not be quicker.
    model([calls(("shop__order", {"number": 1})), silence(over)])
    turn = ask()
    move, lose = ToolCall.move, recovery._lose

    def slow(self: ToolCall, to: Any, **fields: Any) -> bool:
        found = move(self, to, **fields)
        if to == ToolCall.Status.SUCCEEDED:
            moved.set()
            swept.wait(1)  # the sweep has the turn's row and wants the call's, or waits for both
        return found

    def losing(call: ToolCall, log: Any) -> bool:
        swept.set()
        return lose(call, log)

    monkeypatch.setattr(ToolCall, "move", slow)
    monkeypatch.setattr(recovery, "_lose", losing)
    thread = started(turn)
    assert moved.wait(10)
    if stops:
        turn.request_cancel()
    let_lease_run_out()

    assert recover_abandoned() == 1

    over.set()
    thread.join(10)
    turn.refresh_from_db()
    assert (turn.status, turn.notice != "") == ("cancelled" if stops else "queued", stops)
    assert turn.tool_calls.get().status == ToolCall.Status.SUCCEEDED


def test_work_that_the_database_took_back_to_end_a_deadlock_is_done_again(ask: Any) -> None:
    turns = [ask().pk, ask().pk]
    both_hold_one = threading.Barrier(2)

    def locks(wanted: list[Any]) -> None:
        with transaction.atomic():
            for turn_id in wanted:
                Turn.objects.filter(pk=turn_id).update(rounds=F("rounds") + 1)
                tries.append(turn_id)
                if len(tries) <= 2:
                    both_hold_one.wait(10)

    def work(wanted: list[Any]) -> None:
        try:
            lasting(lambda: locks(wanted))
        finally:
            connection.close()

    tries: list[Any] = []
    threads = [threading.Thread(target=work, args=(order,)) for order in (turns, turns[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert list(Turn.objects.values_list("rounds", flat=True)) == [2, 2]
    assert len(tries) == 5, "there was no deadlock"
