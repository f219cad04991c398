"""Questions of servers that hold the call until their person answers, as those before 2026 do."""

import asyncio
import threading
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from automate.conf import conf
from automate.models import MCPServer, MCPTool
from automate_llm.clock import Clock
from automate_llm.values import InputAnswer, InputRequest
from chat import held_questions
from chat.decisions import AlreadyDecided, answer, expire_overdue
from chat.events import EventLog
from chat.held_questions import DISMISSED, Asked, HeldQuestions
from chat.models import Question, ToolCall, Turn
from chat.recovery import recover_abandoned
from chat.running import Running
from chat.submission import stop_turn
from chat.waiting import calls_waiting_for, count_waiting_for, turn_words
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_model import calls, text

from .rows import let_lease_run_out
from .test_stopping import until

pytestmark = pytest.mark.django_db(transaction=True)

FORM = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "age": {"type": "integer", "default": 30},
    },
    "required": ["name"],
}


async def greet(context: Any, params: Any) -> Any:
    """Asks on the call's own stream."""
    said = await context.session.elicit_form("Who?", FORM, related_request_id=context.request_id)
    return {"action": said.action, "content": said.content}


async def greet_on_the_sessions_stream(context: Any, params: Any) -> Any:
    said = await context.session.elicit_form("Who?", FORM)
    return {"action": said.action, "content": said.content}


async def gives_up(context: Any, params: Any) -> Any:
    asking = context.session.elicit_form("Who?", FORM, related_request_id=context.request_id)
    with suppress(TimeoutError):
        await asyncio.wait_for(asking, 1)
    return {"action": "nobody there"}


async def chatty(context: Any, params: Any) -> Any:
    """Says how far it is, again and again, while it waits."""
    asking = asyncio.ensure_future(
        context.session.elicit_form("Who?", FORM, related_request_id=context.request_id)
    )
    for number in range(1_000):
        done, _pending = await asyncio.wait({asking}, timeout=0.02)
        if done:
            break
        await context.session.report_progress(number)
    said = await asking
    return {"action": said.action}


async def ask_without_end(context: Any, params: Any) -> Any:
    said = []
    for number in range(held_questions.MAX_QUESTIONS + 1):
        words = f"Number {number}?"
        one = await context.session.elicit_form(words, FORM, related_request_id=context.request_id)
        said.append(one.action)
    return {"said": said}


@pytest.fixture
def asked(model: Any, ask: Any, shop: Any, started: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a turn in a thread until the server of its call asks; gives the turn and the thread."""
    monkeypatch.setattr(held_questions, "LOOK_SECONDS", 0.05)

    def run(tool: Any = greet, *, sse: bool = False, **automate: Any) -> tuple[Turn, Any]:
        offers = Offer("greet", conversation=tool), Offer("other")
        options = {"sse": True} if sse else {"legacy_only": True}
        run.peer = shop(*offers, **options)  # type: ignore[attr-defined]
        run.model = model(  # type: ignore[attr-defined]
            [calls(("shop__greet", {"a": 1}), ("shop__other", {})), text("Done.")], **automate
        )
        turn = ask()
        thread = started(turn)
        until(lambda: waiting(turn).exists())
        until(lambda: turn.tool_calls.filter(status=ToolCall.Status.SUCCEEDED).exists())
        return turn, thread

    return run


def waiting(turn: Turn) -> Any:
    return Question.objects.filter(call__turn=turn, status=Question.Status.WAITING)


def ended(turn: Turn, thread: threading.Thread) -> Turn:
    thread.join(10)
    assert not thread.is_alive()
    turn.refresh_from_db()
    return turn


def greeted(turn: Turn) -> ToolCall:
    return turn.tool_calls.get(function_name="shop__greet")


def held_by(turn: Turn) -> HeldQuestions:
    """What a run of the turn would have."""
    this = Running(turn.pk, uuid4(), 60, Clock(60))
    return HeldQuestions(EventLog(turn.pk), lambda: None, this, conf())


@pytest.mark.parametrize("tool", [greet, greet_on_the_sessions_stream])
def test_the_call_goes_on_with_the_persons_answer(asked: Any, tool: Any) -> None:
    turn, thread = asked(tool)
    question, person = waiting(turn).get(), turn.conversation.user
    assert greeted(turn).status == ToolCall.Status.RUNNING
    assert (question.message, question.mode, question.round) == ("Who?", "form", Question.HELD)

    answer(question, person, InputAnswer("accept", {"name": "Ada"}))

    assert ended(turn, thread).status == Turn.Status.DONE
    content = {"name": "Ada", "age": 30}
    assert greeted(turn).result["structured"] == {"action": "accept", "content": content}
    assert len(asked.peer.calls("greet")) == 1
    assert turn.tool_calls.get(function_name="shop__other").status == ToolCall.Status.SUCCEEDED


def test_over_the_old_event_stream_too(asked: Any) -> None:
    turn, thread = asked(sse=True)

    answer(waiting(turn).get(), turn.conversation.user, InputAnswer("decline"))

    assert ended(turn, thread).status == Turn.Status.DONE
    assert greeted(turn).result["structured"]["action"] == "decline"


def test_neither_the_calls_time_nor_the_turns_runs_down_meanwhile(
    asked: Any, settings: Any
) -> None:
    settings.AUTOMATE = {**settings.AUTOMATE, "MCP_TIMEOUT": 2.0}
    turn, thread = asked(MAX_TURN_SECONDS=3.0)
    threading.Event().wait(3.5)  # more than both have

    answer(waiting(turn).get(), turn.conversation.user, InputAnswer("accept", {"name": "Ada"}))

    assert ended(turn, thread).status == Turn.Status.DONE, turn.notice
    assert turn.seconds_used < 3.0


def test_the_person_is_told_that_the_turn_waits_for_them(asked: Any, client: Client) -> None:
    turn, _thread = asked()
    person = turn.conversation.user
    turn.refresh_from_db()
    client.force_login(person)

    assert turn_words(turn) == "Needs your answer"
    assert count_waiting_for(person) == 1
    assert [call.pk for call in calls_waiting_for(person)] == [greeted(turn).pk]
    page = client.get(reverse("chat:conversation", args=[turn.conversation_id])).content.decode()
    assert "Shop asks you:" in page
    assert "Needs your answer" in page
    kinds = list(turn.events.order_by("seq").values_list("kind", flat=True))
    assert "waiting" in kinds
    stop_turn(turn)


def test_it_is_answered_in_the_page(asked: Any, client: Client) -> None:
    turn, thread = asked()
    question = waiting(turn).get()
    client.force_login(turn.conversation.user)
    address = reverse("chat:answer", args=[question.pk])
    wrong = {"action": "accept", f"question-{question.pk}-shown": "1"}

    assert client.post(address, wrong).status_code == 422
    assert waiting(turn).exists()
    sent = {**wrong, f"question-{question.pk}-f0": "Ada", f"question-{question.pk}-f1": "7"}
    response = client.post(address, sent)

    assert response.status_code == 302, response.content.decode()
    ended(turn, thread)
    assert greeted(turn).result["structured"]["content"] == {"name": "Ada", "age": 7}


def test_only_its_person_answers_once_and_with_what_fits(
    asked: Any, django_user_model: Any
) -> None:
    turn, thread = asked()
    question = waiting(turn).get()

    with pytest.raises(PermissionDenied):
        answer(question, django_user_model.objects.create_superuser("r"), InputAnswer("decline"))
    with pytest.raises(ValidationError, match="does not fit"):
        answer(question, turn.conversation.user, InputAnswer("accept", {"name": "A"}))
    answer(question, turn.conversation.user, InputAnswer("decline"))
    with pytest.raises(AlreadyDecided):
        answer(question, turn.conversation.user, InputAnswer("decline"))
    ended(turn, thread)


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


def test_a_tool_that_says_how_far_it_is_hears_the_answer_all_the_same(asked: Any) -> None:
    turn, thread = asked(chatty)

    answer(waiting(turn).get(), turn.conversation.user, InputAnswer("accept", {"name": "Ada"}))

    ended(turn, thread)
    assert greeted(turn).result["structured"]["action"] == "accept"


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


if connection.vendor == "mysql":  # others hold JSON of any depth

    def test_a_question_that_the_database_cannot_hold_is_declined(asked: Any) -> None:
        turn, thread = asked(gives_up)
        ended(turn, thread)
        deep: dict[str, Any] = {"type": "string"}
        for _ in range(40):
            deep = {"type": "object", "properties": {"a": deep}}
        late = Asked(InputRequest("form", "Who?", deep))

        held_by(turn).ask(greeted(turn), late)

        assert late.answer.result(0).action == "decline"


def test_two_conversations_are_asked_each_for_itself(
    asked: Any, ask: Any, model: Any, started: Any
) -> None:
    first, one = asked(greet_on_the_sessions_stream)
    model([calls(("shop__greet", {"a": 2})), text("Done.")])
    second = ask()
    two = started(second)
    until(lambda: waiting(second).exists())

    stop_turn(first)
    assert ended(first, one).status == Turn.Status.CANCELLED
    assert waiting(second).exists()
    answer(waiting(second).get(), second.conversation.user, InputAnswer("decline"))

    assert ended(second, two).status == Turn.Status.DONE
    assert greeted(second).result["structured"]["action"] == "decline"


def test_without_javascript_the_page_does_not_reload_while_it_asks(
    asked: Any, client: Client
) -> None:
    turn, _thread = asked()
    client.force_login(turn.conversation.user)

    page = client.get(reverse("chat:conversation", args=[turn.conversation_id]))

    assert 'http-equiv="refresh"' not in page.content.decode()
    stop_turn(turn)


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


def test_a_site_may_have_such_questions_declined(
    model: Any, ask: Any, shop: Any, started: Any
) -> None:
    shop(Offer("greet", conversation=greet), legacy_only=True)
    model([calls(("shop__greet", {})), text("Done.")], HELD_QUESTION_SECONDS=0)
    turn = ask()

    ended(turn, started(turn))

    assert greeted(turn).result["structured"]["action"] == "decline"
    assert not Question.objects.exists()


def test_only_servers_of_older_versions_over_http_hold_calls() -> None:
    def held(version: str, address: str = "https://shop.example/mcp") -> bool:
        return MCPServer(endpoint_url=address, protocol_version=version).may_hold_calls

    assert held("2025-11-25")
    assert held("2024-11-05")
    assert not held("2026-07-28")
    assert not held("")
    assert not held("2025-11-25", "stdio:git")
