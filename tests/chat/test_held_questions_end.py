"""What ends a question for which a server holds the call, other than its person's answer."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from automate.models import MCPTool
from automate_llm.values import InputAnswer, InputRequest
from chat import held_questions
from chat.decisions import AlreadyDecided, answer, expire_overdue
from chat.held_questions import DISMISSED, Asked
from chat.models import Question, ToolCall, Turn
from chat.recovery import recover_abandoned
from chat.submission import stop_turn

from .holding import (
    FORM,
    ask_without_end,
    asked,
    ended,
    gives_up,
    greeted,
    held_by,
    nested,
    waiting,
)
from .rows import let_lease_run_out
from .test_stopping import until

__all__ = ["asked"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("by_sweep", [False, True])
def test_nobodys_answer_in_time_is_a_dismissal(asked: Any, by_sweep: bool) -> None:
    turn, thread = asked()
    past = timezone.now() - timedelta(seconds=1)

    waiting(turn).update(expires_at=past)
    if by_sweep:
        expire_overdue()

    assert ended(turn, thread).status == Turn.Status.DONE
    assert greeted(turn).result["structured"]["action"] == "cancel"
    assert Question.objects.get().status == Question.Status.EXPIRED


def test_a_stop_closes_the_question_and_the_call(asked: Any) -> None:
    turn, thread = asked()

    stop_turn(turn)

    assert ended(turn, thread).status == Turn.Status.CANCELLED
    assert Question.objects.get().status == Question.Status.CANCELLED
    assert greeted(turn).status == ToolCall.Status.CANCELLED
    assert asked.peer.seen("notifications/cancelled")


def test_a_server_that_is_gone_takes_its_question_along(asked: Any) -> None:
    turn, thread = asked()
    question = waiting(turn).get()

    asked.peer.stop()

    assert ended(turn, thread).status == Turn.Status.DONE
    assert greeted(turn).status == ToolCall.Status.UNKNOWN
    with pytest.raises(AlreadyDecided):
        answer(question, turn.conversation.user, InputAnswer("accept", {"name": "Ada"}))
    question.refresh_from_db()
    assert question.status == Question.Status.CANCELLED


def test_a_server_that_gives_up_takes_its_question_along(asked: Any) -> None:
    turn, thread = asked(gives_up)

    assert ended(turn, thread).status == Turn.Status.DONE
    assert greeted(turn).result["structured"] == {"action": "nobody there"}
    assert Question.objects.get().status == Question.Status.CANCELLED


def test_a_question_that_comes_when_its_call_is_over_is_not_asked(
    asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_questions, "LOOK_SECONDS", 60.0)
    turn, thread = asked(gives_up)
    ended(turn, thread)
    over = greeted(turn)
    held = held_by(turn)
    held.withdraw(over)
    late = Asked(InputRequest("form", "Late?", FORM))

    held.ask(over, late)

    assert late.answer.result(0) == DISMISSED
    assert Question.objects.count() == 1


def test_an_answer_to_a_call_of_unknown_outcome_sends_it_not_again(asked: Any) -> None:
    turn, _thread = asked()
    question = waiting(turn).get()
    let_lease_run_out()
    assert recover_abandoned() == 1
    Question.objects.filter(pk=question.pk).update(status=Question.Status.WAITING)

    answer(question, turn.conversation.user, InputAnswer("decline"))

    assert greeted(turn).status == ToolCall.Status.UNKNOWN


def test_who_let_one_question_run_out_is_asked_no_other(asked: Any) -> None:
    turn, thread = asked(ask_without_end)
    waiting(turn).update(expires_at=timezone.now() - timedelta(seconds=1))

    ended(turn, thread)

    said = greeted(turn).result["structured"]["said"]
    assert said == ["cancel"] + ["decline"] * held_questions.MAX_QUESTIONS
    assert Question.objects.count() == 1


def test_a_question_that_a_database_could_not_hold_is_declined(asked: Any) -> None:
    turn, thread = asked(gives_up)
    ended(turn, thread)
    late = Asked(InputRequest("form", "Who?", nested(81)))

    held_by(turn).ask(greeted(turn), late)

    assert late.answer.result(0).action == "decline"


def test_after_a_crash_the_calls_outcome_is_unknown_and_nothing_is_asked(asked: Any) -> None:
    turn, _thread = asked()
    let_lease_run_out()

    assert recover_abandoned() == 1

    assert not waiting(turn).exists()
    assert greeted(turn).status == ToolCall.Status.UNKNOWN
    assert len(asked.peer.calls("greet")) == 1


def test_after_a_crash_a_call_that_may_run_twice_asks_anew(asked: Any, started: Any) -> None:
    turn, thread = asked()
    MCPTool.objects.filter(name="greet").update(effect=MCPTool.Effect.READ_ONLY)
    let_lease_run_out()
    assert recover_abandoned() == 1
    assert not waiting(turn).exists()
    again = started(turn)
    until(lambda: waiting(turn).exists())

    answer(waiting(turn).get(), turn.conversation.user, InputAnswer("accept", {"name": "Ada"}))

    assert ended(turn, again).status == Turn.Status.DONE
    thread.join(10)
    assert len(asked.peer.calls("greet")) == 2
    assert greeted(turn).result["structured"]["content"] == {"name": "Ada", "age": 30}


def test_a_server_may_ask_only_so_often(asked: Any) -> None:
    turn, thread = asked(ask_without_end)
    for number in range(held_questions.MAX_QUESTIONS):
        until(lambda number=number: waiting(turn).filter(message=f"Number {number}?").exists())
        answer(waiting(turn).get(), turn.conversation.user, InputAnswer("cancel"))

    ended(turn, thread)

    assert greeted(turn).result["structured"]["said"] == ["cancel"] * 10 + ["decline"]
    assert Question.objects.count() == held_questions.MAX_QUESTIONS


def test_a_conversation_that_is_deleted_meanwhile_ends_the_question(asked: Any) -> None:
    turn, thread = asked()

    turn.conversation.delete()

    thread.join(10)
    assert not thread.is_alive()
