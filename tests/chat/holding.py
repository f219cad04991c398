"""Servers that hold a call until a person answers, and a turn whose call is held so."""

import asyncio
import threading
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest

from automate.conf import conf
from automate_llm.countdown import Countdown
from chat import held_questions
from chat.events import EventLog
from chat.held_questions import HeldQuestions
from chat.models import Question, ToolCall, Turn
from chat.running import Running
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, text

from .test_stopping import until

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
    this = Running(turn.pk, uuid4(), 60, Countdown(60))
    return HeldQuestions(EventLog(turn.pk), lambda: None, this, conf())


def nested(levels: int) -> dict[str, Any]:
    """A schema of so many levels of objects, an odd number."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels // 2):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema
