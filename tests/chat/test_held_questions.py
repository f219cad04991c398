"""Questions of servers that hold the call until their person answers, as those before 2026 do."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from automate.models import MCPServer, MCPTool
from automate_llm.values import InputAnswer
from chat import held_questions
from chat.decisions import AlreadyDecided, answer, expire_overdue
from chat.models import Question, ToolCall, Turn
from chat.recovery import recover_abandoned
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
    settings.AUTOMATE = {**settings.AUTOMATE, "MCP_TIMEOUT": 1.0}
    turn, thread = asked(MAX_TURN_SECONDS=1.5)
    threading.Event().wait(2.5)  # more than both have

    answer(waiting(turn).get(), turn.conversation.user, InputAnswer("accept", {"name": "Ada"}))

    assert ended(turn, thread).status == Turn.Status.DONE, turn.notice
    assert turn.seconds_used < 1.5


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

    # Nothing is read while the person is asked, so that the answer finds nobody.
    answer(question, turn.conversation.user, InputAnswer("accept", {"name": "Ada"}))
    ended(turn, thread)
    assert greeted(turn).status == ToolCall.Status.UNKNOWN
    assert not waiting(turn).exists()


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
