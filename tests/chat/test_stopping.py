"""Stop, from this process and from another one, and the turn's own time limit."""

import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from django.db import connection

from automate.conf import conf
from chat.context import model_messages
from chat.engine import run_turn
from chat.models import ToolCall, Turn
from chat.submission import stop_turn
from chat.wake_ups import wake_ups
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, silence, text

from .strict_api import problems_of

pytestmark = pytest.mark.django_db(transaction=True)


def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition, looking again and again; a test's only way to wait."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it never came true"
        threading.Event().wait(0.005)


def test_stop_ends_a_silent_model_at_once(model: Any, ask: Any, started: Any) -> None:
    release = threading.Event()
    server = model([silence(release)])
    turn = ask()
    thread = started(turn)
    until(lambda: server.requests)

    began = time.monotonic()
    stop_turn(turn)
    thread.join(5)
    took = time.monotonic() - began
    release.set()

    turn.refresh_from_db()
    assert turn.status == Turn.Status.CANCELLED
    assert took < 0.5


def test_stop_closes_the_request_of_a_running_tool(
    model: Any, ask: Any, started: Any, shop: Any
) -> None:
    peer = shop(Offer("slow", handler=lambda arguments: str(peer.stopping.wait(20))))
    model([calls(("shop__slow", {})), text("Never.")])
    turn = ask()
    thread = started(turn)
    until(lambda: peer.calls("slow"))

    began = time.monotonic()
    stop_turn(turn)
    thread.join(5)
    took = time.monotonic() - began

    turn.refresh_from_db()
    assert turn.status == Turn.Status.CANCELLED
    assert turn.tool_calls.get().status == ToolCall.Status.CANCELLED
    assert took < 0.5


def test_a_stop_that_another_process_asked_for_is_heard(model: Any, ask: Any, started: Any) -> None:
    release = threading.Event()
    server = model([silence(release)])
    turn = ask()
    thread = started(turn)
    until(lambda: server.requests)

    turn.request_cancel()  # what another process does: it reaches the row, not our memory
    thread.join(5)
    release.set()

    turn.refresh_from_db()
    assert turn.status == Turn.Status.CANCELLED


def test_a_stop_at_any_moment_leaves_a_conversation_that_any_model_takes(
    model: Any, ask: Any, shop: Any
) -> None:
    peer = shop(Offer("order"))
    wanted = [("shop__order", {"number": number}) for number in range(6)]
    model(lambda request: text("Done.") if _answered(request) else calls(*wanted, content="So:"))
    ends: list[str] = []
    stopped = True
    while stopped:
        peer.requests.clear()
        turn = ask()

        with wake_ups.listen(turn.pk, _stopper(turn, at=len(ends))):
            run_turn(turn.pk)

        turn.refresh_from_db()
        ends.append(turn.status)
        stopped = turn.cancel_requested
        assert not turn.tool_calls.unfinished().exists()
        assert len(peer.calls()) == len({each["number"] for each in peer.calls()})
        assert problems_of(model_messages(turn, conf())) == []
        assert turn.events.last().data == {"status": turn.status}

    # A stop that comes after the model's last word changes nothing any more.
    assert set(ends) == {"cancelled", "done"}
    # One for the message with its calls and one for the end of each call; the message's first text
    # has one of its own only where it was stored before the rest came.
    assert ends.count("cancelled") >= 7


def _stopper(turn: Turn, at: int) -> Callable[[], None]:
    """Stops the turn when it has stored something for the time of this number, from 0 on."""
    moments = count()

    def wake() -> None:
        if next(moments) == at:
            stop_turn(turn)
            if threading.current_thread().name == "automate-wake-ups":
                connection.close()  # that thread never asks the database by itself

    return wake


def test_a_turn_ends_when_its_time_is_over(model: Any, ask: Any, started: Any) -> None:
    release = threading.Event()
    model([silence(release)], MAX_TURN_SECONDS=0.3)
    turn = ask()
    started(turn).join(5)
    release.set()

    turn.refresh_from_db()
    assert turn.status == Turn.Status.FAILED
    assert turn.notice == "Stopped after 0.3 seconds."


def test_a_stopped_turn_leaves_a_conversation_that_goes_on(
    model: Any, ask: Any, started: Any
) -> None:
    release = threading.Event()
    server = model([silence(release), text("Here I am.")])
    turn = ask()
    thread = started(turn)
    until(lambda: server.requests)
    stop_turn(turn)
    thread.join(5)
    release.set()

    again = ask("Still there?", conversation=turn.conversation)
    run_turn(again.pk)

    again.refresh_from_db()
    assert again.status == Turn.Status.DONE


def test_a_call_is_a_committed_row_before_its_request_leaves(
    model: Any, ask: Any, started: Any, shop: Any
) -> None:
    seen: list[str] = []

    def handler(arguments: dict[str, Any]) -> str:
        # Another connection sees only what is committed.
        seen.extend(ToolCall.objects.values_list("status", flat=True))
        connection.close()
        return "done"

    shop(Offer("write", handler=handler))
    model([calls(("shop__write", {})), text("Done.")])
    started(ask()).join(10)

    assert seen == ["running"]


def test_of_two_workers_that_take_the_same_turn_one_runs_it(
    model: Any, ask: Any, started: Any, shop: Any
) -> None:
    peer = shop(Offer("write"))
    model(lambda request: calls(("shop__write", {})) if not _answered(request) else text("Done."))
    turn = ask()

    threads = [started(turn) for _ in range(4)]
    for thread in threads:
        thread.join(10)

    turn.refresh_from_db()
    assert turn.status == Turn.Status.DONE
    assert len(peer.calls("write")) == 1


def _answered(request: Any) -> bool:
    return any(message["role"] == "tool" for message in request.messages)
