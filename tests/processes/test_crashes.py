"""Killed at every commit of a turn: nothing acknowledged is lost, nothing is done twice."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from automate.conf import conf
from automate.models import MCPServer
from automate.sync import sync_server
from chat.context import model_messages
from chat.decisions import resolve
from chat.engine import run_turn
from chat.models import Conversation, Message, Summary, ToolCall, Turn, TurnEvent
from chat.recovery import recover_abandoned
from chat.submission import send_message
from tests.chat.strict_api import problems_of
from tests.conftest import NO_SKIPS
from tests.servers.rest import RestServer
from tests.servers.scripted_replies import Reply, Request, calls, status, text

pytestmark = pytest.mark.django_db(transaction=True)

ORDER = {"name": "order", "description": "Order.", "inputSchema": {"type": "object"}}


class DyingProcess:
    """Runs turns in another process; says by which signal it died, 0 where it did not."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.processes.dying_process"]
        self._process = subprocess.Popen(
            [*command, str(connection.settings_dict["NAME"])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        )

    def run(
        self,
        user: Any,
        sentence: str,
        submission: UUID,
        die_at: int,
        conversation: Conversation | None = None,
    ) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        order = {
            "automate": django_settings.AUTOMATE,
            "user": user.pk,
            "text": sentence,
            "submission": str(submission),
            "die_at": die_at,
            "conversation": str(conversation.pk) if conversation is not None else None,
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def end(self) -> None:
        self._process.communicate(timeout=10)


@pytest.fixture
def dying() -> Iterator[Callable[..., int]]:
    process = DyingProcess()
    yield process.run
    process.end()


def first_moment() -> tuple[int, int, int]:
    """What is so before the first death: its signal, its moment, and the steps between moments.

    One moment of five, others in each run; every one where nothing may be skipped.
    """
    step = 1 if os.environ.get(NO_SKIPS) else 5
    return int(signal.SIGKILL), random.randrange(step), step


def strictly(request: Request) -> Reply:
    """Order two things and then a third, in the words of the last message; then say so."""
    if problems := problems_of(request.messages):
        return status(400, {"error": {"message": "; ".join(problems)}})
    last = max(at for at, each in enumerate(request.messages) if each["role"] == "user")
    sentence = request.messages[last]["content"]
    if not sentence.startswith("Order"):
        return text("I am still here.")
    answered = sum(each["role"] == "tool" for each in request.messages[last:])
    if answered == 0:
        wanted = [("shop__order", {"for": sentence, "number": number}) for number in (1, 2)]
        return calls(*wanted, content="Let me see.")
    if answered == 2:
        return calls(("shop__order", {"for": sentence, "number": 3}))
    return text("All three are on their way.")


def test_a_process_killed_at_any_commit_loses_nothing_and_repeats_nothing(
    model: Any, user: Any, executor: Any, dying: Callable[..., int]
) -> None:
    effects: Counter[tuple[str, int]] = Counter()

    def do(tool: str, arguments: dict[str, Any]) -> str:
        effects[arguments["for"], arguments["number"]] += 1
        return "ordered"

    model(strictly)
    with RestServer([ORDER], do) as shop:
        row = MCPServer.objects.create(
            name="Shop", slug="shop", endpoint_url=shop.url, protocol="rest"
        )
        assert not sync_server(row).error

        died, at, step = first_moment()
        while died:
            at += step
            sentence, submission = f"Order three, and die at {at}", uuid4()
            died = dying(user, sentence, submission, at)
            _restart_and_check(user, sentence, submission, effects)

    assert died == 0
    assert at > 15, "the turn has more commits than that"
    assert [effects[sentence, number] for number in (1, 2, 3)] == [1, 1, 1]


def test_a_process_killed_while_it_summarises_stores_one_summary_or_none(
    model: Any, user: Any, executor: Any, dying: Callable[..., int]
) -> None:
    """The model may be asked anew, but nothing is summarised twice, and nothing is lost."""

    def reply(request: Request) -> Reply:
        if problems := problems_of(request.messages):
            return status(400, {"error": {"message": "; ".join(problems)}})
        is_summary = "Summarise the beginning" in request.messages[0]["content"]
        return text("It began." if is_summary else "word " * 90)

    model(reply, CONTEXT_TOKENS=100)
    died, at, step = first_moment()
    while died:
        at += step
        conversation = None
        for number in range(2):
            turn = send_message(user, conversation, f"Question {number}", uuid4())
            run_turn(turn.pk)
            conversation = turn.conversation
        submission = uuid4()

        died = dying(user, "And now?", submission, at, conversation)
        turn = send_message(user, conversation, "And now?", submission)
        past = timezone.now() - timedelta(seconds=1)
        Turn.objects.filter(status=Turn.Status.RUNNING).update(lease_until=past)
        recover_abandoned()
        run_turn(turn.pk)

        turn.refresh_from_db()
        assert turn.status == Turn.Status.DONE, at
        summary = Summary.objects.get(conversation=turn.conversation)
        assert Conversation.objects.get(pk=turn.conversation_id).summary == summary, at
        assert turn.messages.filter(role=Message.Role.USER).count() == 1, at
    assert at > 10


def _say_what_became(
    turn: Turn, user: Any, sentence: str, effects: Counter[tuple[str, int]]
) -> None:
    """What a person does who looks into the shop: the turn then goes on."""
    for call in turn.tool_calls.filter(status=ToolCall.Status.UNKNOWN):
        done = effects[sentence, call.arguments["number"]]
        resolve(call, user, "done" if done else "failed")
    run_turn(turn.pk)


def _restart_and_check(
    user: Any, sentence: str, submission: UUID, effects: Counter[tuple[str, int]]
) -> None:
    """What the next process does: the browser repeats itself, the sweep runs, a turn follows."""
    turn = send_message(user, None, sentence, submission)
    Turn.objects.filter(status=Turn.Status.RUNNING).update(
        lease_until=timezone.now() - timedelta(seconds=1)
    )
    texts = turn.events.filter(kind=TurnEvent.Kind.TEXT).values_list("data", flat=True)
    written = [(each["message"], each["text"]) for each in texts]
    recover_abandoned()
    run_turn(turn.pk)
    _say_what_became(turn, user, sentence, effects)
    turn.refresh_from_db()

    assert turn.finished, sentence
    assert turn.events.last().data == {"status": turn.status}, sentence
    assert not ToolCall.objects.unfinished().exists(), sentence
    assert Message.objects.filter(content=sentence).count() == 1
    for message_id, piece in written:
        assert piece in turn.messages.get(pk=message_id).content, sentence
    assert turn.status == Turn.Status.DONE, sentence
    assert all(count == 1 for count in effects.values()), (sentence, effects)
    for call in turn.tool_calls.all():
        done = effects[sentence, call.arguments["number"]]
        assert call.status == ("succeeded" if done else "failed"), (sentence, call)
    assert problems_of(model_messages(turn, conf())) == [], sentence

    again = send_message(user, turn.conversation, "Still there?", uuid4())
    run_turn(again.pk)
    again.refresh_from_db()
    assert (again.status, again.notice) == (Turn.Status.DONE, ""), sentence
