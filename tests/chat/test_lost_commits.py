"""The connection breaks in the middle of a transaction, or of its commit: nothing is done twice."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone

from automate.conf import conf
from automate.databases import short_transaction
from chat.budgets import Spending
from chat.checking import CallChecker
from chat.connections import lasting
from chat.engine import run_turn
from chat.events import EventLog
from chat.held_questions import DISMISSED, Asked, HeldQuestions
from chat.models import Approval, DailyUsage, Question, ToolCall, Turn, TurnEvent
from chat.signals import turn_finished
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, chunk, raw_chunks, status, text

from .deciding import asking_two_things

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="a file has no connection to lose"),
]


def break_connection() -> None:
    """Have another session end this thread's, as an operator or a failover does."""
    is_postgres = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()" if is_postgres else "SELECT CONNECTION_ID()")
        [own] = cursor.fetchone()

    def end() -> None:
        with connection.cursor() as cursor:
            if is_postgres:  # waits until it is gone
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [own])
            else:
                cursor.execute("KILL %s", [own])
        connection.close()

    thread = threading.Thread(target=end)
    thread.start()
    thread.join()


class Cut:
    """Breaks the connection in the next commit once `armed`, which has come `through` or has not.

    The database cannot be reached for a moment then.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.armed = False
        self.through = True
        self._away_until = 0.0
        kind: Any = type(connections["default"])
        commit, connect = kind._commit, kind.get_new_connection

        def committing(wrapper: Any) -> None:
            if not self.armed:
                commit(wrapper)
                return
            self.armed = False
            if self.through:
                commit(wrapper)
            break_connection()
            self._away_until = time.monotonic() + 0.2
            with wrapper.cursor() as cursor:
                cursor.execute("SELECT 1")

        def connecting(wrapper: Any, parameters: Any) -> Any:
            if time.monotonic() < self._away_until:
                raise OperationalError("connection refused")
            return connect(wrapper, parameters)

        monkeypatch.setattr(kind, "_commit", committing)
        monkeypatch.setattr(kind, "get_new_connection", connecting)


@pytest.fixture(params=[True, False], ids=["came through", "rolled back"])
def cut(monkeypatch: pytest.MonkeyPatch, request: Any) -> Cut:
    made = Cut(monkeypatch)
    made.through = request.param
    return made


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Do something when a method is first called so that `is_it` holds, after or before it."""

    def arrange(
        owner: type,
        name: str,
        what: Callable[[], None],
        is_it: Callable[..., bool] = lambda *parts: True,
        *,
        before: bool = False,
    ) -> None:
        real, done = getattr(owner, name), []

        def method(*parts: Any, **named: Any) -> Any:
            is_now = not done and is_it(*parts)
            if is_now:
                done.append(True)
            if is_now and before:
                what()
            result = real(*parts, **named)
            if is_now and not before:
                what()
            return result

        monkeypatch.setattr(owner, name, method)

    return arrange


@pytest.fixture
def ends() -> Any:
    """How turns ended, as their signal says."""
    heard: list[str] = []

    def hear(turn: Turn, **named: Any) -> None:
        heard.append(turn.status)

    turn_finished.connect(hear)
    yield heard
    turn_finished.disconnect(hear)


def finished(turn: Turn) -> Turn:
    run_turn(turn.pk)
    turn.refresh_from_db()
    return turn


def used() -> tuple[int, int]:
    return DailyUsage.objects.values_list("prompt_tokens", "completion_tokens").get()


def arm(cut: Cut) -> Callable[[], None]:
    return lambda: setattr(cut, "armed", True)


def test_a_last_answer_is_stored_counted_and_announced_once(
    model: Any, ask: Any, cut: Cut, once: Any, ends: list[str]
) -> None:
    model([text("Hello there.")])
    once(Spending, "store", arm(cut))

    turn = finished(ask())

    assert (turn.status, turn.notice, used()) == (Turn.Status.DONE, "", (12, 2))
    assert [each.content for each in turn.messages.all()] == ["Hello", "Hello there."]
    assert ends == ["done"]


@pytest.mark.parametrize("asks", [False, True])
def test_an_answer_with_calls_is_stored_and_counted_once(
    model: Any, ask: Any, shop: Any, cut: Cut, once: Any, asks: bool
) -> None:
    peer = shop(Offer("echo"))
    script = [calls(("shop__echo", {})), text("Done now.")]
    model(script, APPROVAL_DEFAULT="ask" if asks else "allow")
    once(Spending, "store", arm(cut))

    turn = finished(ask())

    assert turn.status == (Turn.Status.WAITING if asks else Turn.Status.DONE), turn.notice
    assert used() == (turn.prompt_tokens, turn.completion_tokens)
    assert len(peer.calls()) == (0 if asks else 1)
    assert Approval.objects.count() == (1 if asks else 0)


@pytest.mark.parametrize("to", [ToolCall.Status.RUNNING, ToolCall.Status.SUCCEEDED])
def test_a_calls_change_of_state_is_made_once(
    model: Any, ask: Any, shop: Any, cut: Cut, once: Any, to: str
) -> None:
    peer = shop(Offer("one"), Offer("two"))
    model([calls(("shop__one", {}), ("shop__two", {})), text("Done.")], PARALLEL_CALLS=1)
    once(ToolCall, "move", arm(cut), lambda call, status, **fields: status == to)

    turn = finished(ask())

    assert turn.status == Turn.Status.DONE, turn.notice
    assert set(turn.tool_calls.values_list("status", "attempts")) == {("succeeded", 1)}
    assert len(peer.calls()) == 2


def test_a_turn_that_fails_ends_once(
    model: Any, ask: Any, cut: Cut, once: Any, ends: list[str]
) -> None:
    model([status(401, {"error": {"message": "No."}})])
    turn = ask()
    once(EventLog, "fold_text", arm(cut))

    finished(turn)

    assert turn.status == Turn.Status.FAILED
    assert ends == ["failed"]
    assert turn.events.filter(kind=TurnEvent.Kind.STATUS).count() == 1


def test_a_transaction_whose_connection_breaks_in_its_middle_is_done_again(user: Any) -> None:
    tries = []

    def work() -> None:
        with short_transaction():
            tries.append(Turn.objects.count())
            if len(tries) == 1:
                break_connection()
            Turn.objects.count()

    lasting(work)

    assert len(tries) == 2


def test_an_error_of_another_kind_is_not_done_again(user: Any) -> None:
    tries = []

    def work() -> None:
        tries.append(1)
        with short_transaction(), connection.cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")

    with pytest.raises(Exception, match="nowhere"):
        lasting(work)

    assert len(tries) == 1


def test_calls_that_are_checked_again_count_once(
    model: Any, ask: Any, shop: Any, once: Any
) -> None:
    shop(Offer("one"), Offer("two"))
    script = [calls(("shop__one", {}), ("shop__two", {})), text("Done.")]
    model(script, APPROVAL_DEFAULT="ask", MAX_SAME_CALLS=1)
    checked: list[int] = []

    def is_second(*parts: Any) -> bool:
        checked.append(1)
        return len(checked) == 2

    once(CallChecker, "_is_granted", break_connection, is_second, before=True)

    turn = finished(ask())

    assert turn.status == Turn.Status.WAITING
    assert set(turn.tool_calls.values_list("status", flat=True)) == {"waiting"}


def test_an_answer_is_kept_where_its_tokens_must_be_estimated_meanwhile(
    model: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chat import requesting

    model([raw_chunks([chunk({"content": "Hi."}), chunk({}, "stop")])])
    real, tries = requesting.characters_per_token, []

    def estimated(turn: Turn) -> float:
        tries.append(1)
        if len(tries) == 1:
            Turn.objects.count()
            break_connection()
        return real(turn)

    monkeypatch.setattr(requesting, "characters_per_token", estimated)

    turn = finished(ask())

    assert (turn.status, len(tries)) == (Turn.Status.DONE, 2)
    assert turn.messages.last().content == "Hi."


def test_an_answered_question_is_shown_though_the_connection_breaks(
    model: Any, ask: Any, shop: Any, once: Any
) -> None:
    shop(Offer("echo"))
    model([calls(("shop__echo", {})), text("Done.")])
    turn = finished(ask())
    call = turn.tool_calls.get()
    question = Question.objects.create(
        call=call, key="1", status=Question.Status.DECLINED, expires_at=timezone.now()
    )
    log = EventLog(turn.pk)
    before = turn.events.filter(kind=TurnEvent.Kind.CALL).count()
    held = HeldQuestions(log, lambda: None, None, conf())  # type: ignore[arg-type]
    asked = Asked(None)  # type: ignore[arg-type]
    held._open[question.pk] = call, asked
    once(EventLog, "append", break_connection, before=True)

    held.look()

    assert asked.answer.result(0).action == "decline" != DISMISSED.action
    assert turn.events.filter(kind=TurnEvent.Kind.CALL).count() == before + 1


def test_questions_of_a_server_are_stored_once(
    model: Any, ask: Any, shop: Any, cut: Cut, once: Any
) -> None:
    shop(asking_two_things())
    model([calls(("shop__words", {})), text("Done.")])
    once(ToolCall, "move", arm(cut), lambda call, status, **fields: status == "waiting")

    turn = finished(ask())

    assert turn.status == Turn.Status.WAITING, turn.notice
    assert Question.objects.filter(status=Question.Status.WAITING).count() == 2
