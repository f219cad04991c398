"""What happens round a turn that runs: lost leases and rights, faults, deleted rows, silence."""

import gc
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from automate.models import MCPServer
from automate.sync import sync_server
from chat import running
from chat.engine import run_turn
from chat.events import EventLog
from chat.models import Conversation, ToolCall, Turn, TurnEvent
from chat.recovery import recover_abandoned
from chat.submission import continue_turn, send_message, stop_turn
from tests.servers.mcp_sdk import Offer
from tests.servers.rest import RestServer
from tests.servers.scripted_replies import calls, silence, text, three_calls

from .rows import let_lease_run_out
from .test_stopping import until

pytestmark = pytest.mark.django_db(transaction=True)


def finished(turn: Turn) -> Turn:
    run_turn(turn.pk)
    turn.refresh_from_db()
    return turn


def abandon(turn_id: Any) -> None:
    """What another process does when this one gave no sign of life for too long."""
    let_lease_run_out(Turn.objects.filter(pk=turn_id))
    assert recover_abandoned() == 1


def elsewhere(job: Callable[..., object]) -> Callable[[dict[str, Any]], str]:
    """A tool that does this to the database, as another process would."""

    def handler(arguments: dict[str, Any]) -> str:
        try:
            job()
        finally:
            connection.close()
        return "done"

    return handler


def test_text_that_no_next_piece_follows_is_seen_nevertheless(
    model: Any, ask: Any, started: Any
) -> None:
    permits = threading.Semaphore(0)
    model([text("one two three four five").paced(permits)])
    turn = ask()
    thread = started(turn)

    permits.release(4)  # the role and three words, at once

    until(lambda: "".join(_texts(turn)) == "one two three")
    permits.release(10)
    thread.join(10)
    assert turn.messages.last().content == "one two three four five"


def _texts(turn: Turn) -> list[str]:
    return [each.data["text"] for each in turn.events.filter(kind=TurnEvent.Kind.TEXT)]


def test_a_turn_that_another_process_took_stops_here_and_writes_no_more(
    model: Any, ask: Any, started: Any
) -> None:
    release = threading.Event()
    server = model([silence(release)])
    turn = ask()
    thread = started(turn)
    until(lambda: server.requests)

    abandon(turn.pk)
    thread.join(5)
    assert not thread.is_alive()
    release.set()

    turn.refresh_from_db()
    assert turn.status == Turn.Status.QUEUED
    assert not turn.events.exists()


def test_a_turn_that_lost_its_lease_sends_no_further_call(model: Any, ask: Any, shop: Any) -> None:
    turn = ask()
    peer = shop(Offer("order", handler=elsewhere(lambda: abandon(turn.pk))))
    wanted = [("shop__order", {"number": number}) for number in (1, 2)]
    model([calls(*wanted), text("Done.")], PARALLEL_CALLS=1)

    finished(turn)

    assert turn.status == Turn.Status.WAITING
    assert peer.calls("order") == [{"number": 1}]
    assert [call.status for call in turn.tool_calls.all()] == ["unknown", "pending"]


def test_a_conversation_deleted_in_the_middle_ends_its_turn(
    model: Any, ask: Any, shop: Any
) -> None:
    peer = shop(Offer("order", handler=elsewhere(lambda: Conversation.objects.all().delete())))
    wanted = [("shop__order", {"number": number}) for number in (1, 2)]
    server = model([calls(*wanted), text("Done.")], PARALLEL_CALLS=1)
    turn = ask()

    run_turn(turn.pk)

    assert len(peer.calls("order")) == 1
    assert len(server.requests) == 1
    assert not ToolCall.objects.exists()
    assert not TurnEvent.objects.exists()


def test_who_loses_their_account_in_the_middle_has_no_tools_from_then_on(
    model: Any, ask: Any, shop: Any
) -> None:
    lock_out = elsewhere(lambda: get_user_model().objects.update(is_active=False))
    peer = shop(Offer("order", handler=lock_out))
    wanted = [("shop__order", {"number": number}) for number in (1, 2)]
    model([*(calls(each) for each in wanted), text("Done.")])

    turn = finished(ask())

    assert peer.calls("order") == [{"number": 1}]
    assert [call.status for call in turn.tool_calls.all()] == ["succeeded", "refused"]


def test_trying_again_does_not_repeat_a_call_of_unknown_outcome(
    model: Any, ask: Any, shop: Any, user: Any
) -> None:
    turn = ask("Order one.")
    deaths: list[Callable[[], object]] = [lambda: abandon(turn.pk)]
    die = elsewhere(lambda: deaths.pop()() if deaths else None)
    peer = shop(Offer("order", handler=die))
    order = calls(("shop__order", {"number": 1}))
    model([order, order, text("Shall I?"), order, text("Ordered.")])
    finished(turn)
    turn.refresh_from_db()
    stop_turn(turn)

    again = finished(continue_turn(turn, uuid4()))

    assert [call.status for call in again.tool_calls.all()] == ["refused"]
    assert "Ask the person first" in again.tool_calls.get().error
    assert len(peer.calls("order")) == 1

    wished = finished(ask("Yes, order it again.", conversation=turn.conversation))

    assert [call.status for call in wished.tool_calls.all()] == ["succeeded"]


def test_a_fault_in_the_watch_costs_one_look_and_no_more(
    model: Any, ask: Any, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults, look = [RuntimeError("too many open files")], running._look

    def failing(*parts: Any, **named: Any) -> None:
        if faults:
            raise faults.pop()
        look(*parts, **named)

    monkeypatch.setattr(running, "_look", failing)
    release = threading.Event()
    model([silence(release)])
    turn = ask()
    thread = started(turn)
    until(lambda: not faults)

    turn.request_cancel()
    thread.join(5)
    release.set()

    turn.refresh_from_db()
    assert turn.status == Turn.Status.CANCELLED


def test_a_turn_whose_connection_broke_ends_over_a_new_one_or_goes_on(
    model: Any, ask: Any, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_all, breaks = EventLog.append_all, [True]

    def broken(log: EventLog, *parts: Any, **named: Any) -> None:
        if breaks and breaks.pop():
            connection.connection.close()
        append_all(log, *parts, **named)

    monkeypatch.setattr(EventLog, "append_all", broken)
    model([text("Hello there.")])
    turn = ask()

    started(turn).join(10)

    turn.refresh_from_db()
    is_file = connection.vendor == "sqlite"  # which is not lost: whatever failed would fail again
    assert turn.status == (Turn.Status.FAILED if is_file else Turn.Status.DONE)
    assert ("reference" in turn.notice) == is_file
    assert turn.events.last().data == {"status": turn.status}


def test_a_double_click_at_one_moment_is_one_message_and_one_turn(user: Any, executor: Any) -> None:
    submission = uuid4()
    together, turns = threading.Barrier(2, timeout=10), []

    def click() -> None:
        together.wait()
        turns.append(send_message(user, None, "Hello", submission))
        connection.close()

    clicks = [threading.Thread(target=click) for _ in range(2)]
    for each in clicks:
        each.start()
    for each in clicks:
        each.join()

    assert len({turn.pk for turn in turns}) == 1
    assert len(turns) == 2
    assert Conversation.objects.count() == 1
    assert Turn.objects.get().messages.get().content == "Hello"


def test_a_flood_of_progress_is_thinned_out(model: Any, ask: Any, shop: Any) -> None:
    async def flood(arguments: dict[str, Any], session: Any) -> str:
        for number in range(300):
            await session.report_progress(number, 300)
        return "done"

    shop(Offer("flood", handler=flood))
    model([calls(("shop__flood", {})), text("Done.")])

    turn = finished(ask())

    assert turn.tool_calls.get().status == ToolCall.Status.SUCCEEDED
    assert 1 <= turn.events.filter(kind=TurnEvent.Kind.PROGRESS).count() < 100


def test_a_result_that_no_database_stores_is_stored_without_what_it_refuses(
    model: Any, ask: Any, user: Any
) -> None:
    tools = [{"name": "odd", "description": "Odd.", "inputSchema": {"type": "object"}}]
    with RestServer(tools, lambda tool, arguments: {"nul\x00": "\ud800", "far": 1e400}) as shop:
        row = MCPServer.objects.create(
            name="Shop", slug="shop", endpoint_url=shop.url, protocol="rest"
        )
        assert not sync_server(row).error
        model([calls(("shop__odd", {})), text("Done.")])

        turn = finished(ask())

    call = turn.tool_calls.get()
    assert call.status == ToolCall.Status.SUCCEEDED
    assert call.result["structured"] == {"nul\ufffd": "\ufffd", "far": None}


def test_many_turns_leave_no_thread_and_no_open_file_behind(
    model: Any, ask: Any, started: Any, shop: Any
) -> None:
    shop(Offer("echo"))
    model(three_calls())

    def open_files() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))

    started(ask()).join(10)  # the first one opens connections that are kept
    threads, files = threading.active_count(), open_files()
    for _ in range(20):
        started(ask()).join(10)

    until(lambda: threading.active_count() <= threads)
    until(lambda: open_files() <= files)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumps_leaves_a_turn_to_its_process(
    model: Any, ask: Any, shop: Any, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    now = timezone.now

    def jump() -> None:
        monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(hours=hours))
        assert recover_abandoned() == 0

    peer = shop(Offer("order", handler=elsewhere(jump)))
    model([calls(("shop__order", {"number": 1})), text("Done.")])

    assert finished(ask()).status == Turn.Status.DONE
    assert len(peer.calls("order")) == 1


def many_orders(count: int) -> Any:
    return calls(*(("shop__order", {"number": number}) for number in range(count)))


def test_a_model_that_asks_for_a_hundred_calls_at_once_is_held_to_the_limit(
    model: Any, ask: Any, shop: Any
) -> None:
    peer = shop(Offer("order"))
    model([many_orders(100), text("Done.")])

    turn = finished(ask())

    assert turn.status == Turn.Status.DONE
    assert len(peer.calls("order")) == 25
    assert turn.tool_calls.filter(status=ToolCall.Status.REFUSED).count() == 75
    assert "25 tool calls" in turn.notice


def test_a_model_that_asks_for_two_hundred_calls_at_once_is_told_to_stop(
    model: Any, ask: Any, shop: Any
) -> None:
    peer = shop(Offer("order"))
    model([many_orders(200), text("I am sorry.")])
    turn = finished(ask())

    assert turn.status == Turn.Status.FAILED
    assert "more than 128 tool calls" in turn.notice
    assert peer.calls("order") == []
    assert finished(ask("Then one.", conversation=turn.conversation)).status == Turn.Status.DONE


def test_a_sweep_and_a_result_at_one_moment_do_not_wait_for_each_other(
    model: Any, ask: Any, shop: Any, started: Any
) -> None:
    """Both change the call and lock its turn; in another order they would wait for ever."""
    peer = shop(Offer("order"))
    for _ in range(10):
        model([calls(("shop__order", {"number": 1})), text("Done.")])
        turn = ask()
        thread = started(turn)
        while thread.is_alive():
            let_lease_run_out(Turn.objects.filter(pk=turn.pk))
            recover_abandoned()
        turn.refresh_from_db()
        assert turn.status in (Turn.Status.DONE, Turn.Status.QUEUED, Turn.Status.WAITING)
        assert len(peer.calls("order")) <= 1
        peer.requests.clear()
