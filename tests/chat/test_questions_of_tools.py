"""Questions that a tool's server asks a person, answered now or tomorrow."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone
from mcp_types import (
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestURLParams,
    InputRequiredResult,
)

from automate_llm.values import InputAnswer
from chat.decisions import AlreadyDecided, answer, approve, expire_overdue
from chat.engine import run_turn
from chat.models import Approval, Question, Turn
from chat.submission import stop_turn
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, text

from .holding import nested

pytestmark = pytest.mark.django_db(transaction=True)

FORM = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 2}, "age": {"type": "integer"}},
    "required": ["name"],
}


async def ask_twice(context: Any, params: Any) -> Any:
    """A tool that asks for a name, then for a look at a page, and says what it was told."""
    answers = params.input_responses or {}
    state = params.request_state or ""
    if not state:
        form = ElicitRequestFormParams(message="Who?", requested_schema=FORM)
        return InputRequiredResult(
            input_requests={"who": ElicitRequest(params=form)}, request_state="one é"
        )
    if state == "one é":
        name = (answers["who"].content or {}).get("name", answers["who"].action)
        page = ElicitRequestURLParams(
            message="Look.", url="https://pay.example/1", elicitation_id="1"
        )
        return InputRequiredResult(
            input_requests={"page": ElicitRequest(params=page)}, request_state=f"two {name}"
        )
    return {"name": state.removeprefix("two "), "page": answers["page"].action}


@pytest.fixture
def asked(model: Any, ask: Any, shop: Any) -> Any:
    def wait(**automate: Any) -> tuple[Turn, Any]:
        peer = shop(Offer("greet", conversation=ask_twice))
        turn = ask()
        turn.model_server = model([calls(("shop__greet", {"a": 1})), text("Done.")], **automate)
        return run(turn), peer

    return wait


def run(turn: Turn) -> Turn:
    run_turn(turn.pk)
    turn.refresh_from_db()
    return turn


def open_question(turn: Turn) -> Question:
    return Question.objects.get(call__turn=turn, status=Question.Status.WAITING)


def result(turn: Turn) -> Any:
    return turn.tool_calls.get().result["structured"]


def test_a_question_is_stored_and_the_turn_waits(asked: Any) -> None:
    turn, _ = asked()

    question = open_question(turn)
    assert turn.status == Turn.Status.WAITING
    schema = FORM | {"propertyOrder": ["name", "age"]}
    assert (question.mode, question.message, question.schema) == ("form", "Who?", schema)
    assert (question.key, question.round) == ("who", 1)


def test_answers_lead_to_the_next_question_and_to_the_result(asked: Any) -> None:
    turn, peer = asked()
    person = turn.conversation.user

    answer(open_question(turn), person, InputAnswer("accept", {"name": "Ada"}))
    run(turn)
    second = open_question(turn)
    assert (second.mode, second.url, second.round) == ("url", "https://pay.example/1", 2)
    answer(second, person, InputAnswer("accept"))
    run(turn)

    assert turn.status == Turn.Status.DONE
    assert result(turn) == {"name": "Ada", "page": "accept"}
    ids = [each.body["id"] for each in peer.seen("tools/call")]
    assert len(ids) == len(set(ids)) == 3
    assert len(turn.model_server.requests) == 2


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a_question_may_be_refused(asked: Any, action: Any) -> None:
    turn, _ = asked()

    answer(open_question(turn), turn.conversation.user, InputAnswer(action))
    run(turn)
    answer(open_question(turn), turn.conversation.user, InputAnswer("decline"))
    run(turn)

    assert result(turn) == {"name": action, "page": "decline"}


def test_an_answer_that_does_not_fit_is_refused_and_the_question_stays(asked: Any) -> None:
    turn, _ = asked()

    with pytest.raises(ValidationError, match="does not fit"):
        answer(open_question(turn), turn.conversation.user, InputAnswer("accept", {"name": "A"}))

    assert open_question(turn).content is None


def test_a_question_is_answered_once_and_by_its_person_alone(asked: Any) -> None:
    turn, _ = asked()
    question = open_question(turn)

    with pytest.raises(PermissionDenied):
        answer(question, get_user_model().objects.create_superuser("root"), InputAnswer("decline"))
    answer(question, turn.conversation.user, InputAnswer("decline"))
    with pytest.raises(AlreadyDecided):
        answer(question, turn.conversation.user, InputAnswer("decline"))


def test_a_question_that_nobody_answers_in_time_is_dismissed(asked: Any) -> None:
    turn, _ = asked()
    for _ in range(2):
        Question.objects.filter(status="waiting").update(expires_at=timezone.now())
        assert expire_overdue() == 1
        run(turn)

    assert turn.status == Turn.Status.DONE
    assert result(turn) == {"name": "cancel", "page": "cancel"}


def test_a_stopped_turn_dismisses_its_question(asked: Any) -> None:
    turn, peer = asked()

    stop_turn(turn)

    assert Question.objects.get().status == Question.Status.CANCELLED
    run(turn)
    assert len(peer.seen("tools/call")) == 1


def test_an_approved_call_may_ask_too(asked: Any) -> None:
    turn, _ = asked(APPROVAL_DEFAULT="ask")
    person = turn.conversation.user

    approve(Approval.objects.get(), person)
    assert run(turn).status == Turn.Status.WAITING
    answer(open_question(turn), person, InputAnswer("accept", {"name": "Ada"}))
    run(turn)
    answer(open_question(turn), person, InputAnswer("accept"))

    assert run(turn).status == Turn.Status.DONE
    assert result(turn)["name"] == "Ada"


@pytest.mark.parametrize(("levels", "status"), [(29, "waiting"), (31, "failed"), (41, "failed")])
def test_a_question_that_is_nested_too_deep_ends_its_call_and_not_the_turn(
    model: Any, ask: Any, shop: Any, levels: int, status: str
) -> None:
    async def ask_deep(context: Any, params: Any) -> Any:
        form = ElicitRequestFormParams(message="Who?", requested_schema=nested(levels))
        return InputRequiredResult(input_requests={"who": ElicitRequest(params=form)})

    shop(Offer("greet", conversation=ask_deep))
    turn = ask()
    model([calls(("shop__greet", {"a": 1})), text("It cannot be asked.")])
    run(turn)

    call = turn.tool_calls.get()
    assert call.status == status
    assert turn.status == (Turn.Status.WAITING if status == "waiting" else Turn.Status.DONE)
    assert ("cannot be asked" in call.error) == (status == "failed")
