"""Questions of servers that hold the call until their person answers, as those before 2026 do."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.urls import reverse

from automate.models import MCPServer
from automate_llm.values import InputAnswer
from chat import running
from chat.decisions import AlreadyDecided, answer
from chat.models import Question, ToolCall, Turn
from chat.submission import stop_turn
from chat.waiting import calls_waiting_for, count_waiting_for, turn_words
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, text

from .holding import (
    asked,
    chatty,
    ended,
    greet,
    greet_on_the_sessions_stream,
    greeted,
    waiting,
)
from .test_stopping import until

__all__ = ["asked"]

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_the_turns_time_stands_still_meanwhile(asked: Any) -> None:
    turn, thread = asked()
    [this] = [each for each in running._turns.values() if each.turn_id == turn.pk]
    before = this.countdown.left()
    assert all(this.countdown.left() == before for _ in range(1_000))

    answer(waiting(turn).get(), turn.conversation.user, InputAnswer("accept", {"name": "Ada"}))

    assert ended(turn, thread).status == Turn.Status.DONE
    assert this.countdown.left() < before


def test_it_is_answered_by_the_api(asked: Any, client: Client) -> None:
    turn, thread = asked()
    client.force_login(turn.conversation.user)
    [call] = client.get("/chat/api/waiting").json()["own"]
    [question] = call["questions"]
    assert (call["status"], question["message"]) == ("running", "Who?")

    sent = {"action": "accept", "content": {"name": "Ada"}}
    address = f"/chat/api/questions/{question['id']}/answer"
    response = client.post(address, sent, "application/json")

    assert response.status_code == 200, response.content
    assert ended(turn, thread).status == Turn.Status.DONE
    assert greeted(turn).result["structured"]["content"] == {"name": "Ada", "age": 30}


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


def test_a_tool_that_says_how_far_it_is_hears_the_answer_all_the_same(asked: Any) -> None:
    turn, thread = asked(chatty)

    answer(waiting(turn).get(), turn.conversation.user, InputAnswer("accept", {"name": "Ada"}))

    ended(turn, thread)
    assert greeted(turn).result["structured"]["action"] == "accept"


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
