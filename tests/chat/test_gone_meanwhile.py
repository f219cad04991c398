"""What is deleted, disabled or lost while a turn runs or waits is not used any more."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from automate.models import MCPServer, MCPTool, ToolRule
from automate_llm.values import InputAnswer
from chat.answer_writer import AnswerWriter
from chat.decisions import answer, approve
from chat.engine import run_turn
from chat.models import DailyUsage, Question, ToolCall, Turn
from tests.servers.scripted_replies import calls, silence, text

from .approving import approval_of, asked, run, statuses
from .deciding import asking_for_contact
from .test_stopping import until

__all__ = ["asked"]

pytestmark = pytest.mark.django_db(transaction=True)

LOSSES: dict[str, Callable[[], object]] = {
    "tool deleted": lambda: MCPTool.objects.all().delete(),
    "tool disabled": lambda: MCPTool.objects.update(enabled=False),
    "server deleted": lambda: MCPServer.objects.all().delete(),
    "server disabled": lambda: MCPServer.objects.update(enabled=False),
    "right lost": lambda: MCPTool.objects.update(required_permission="auth.view_user"),
    "denied": lambda: ToolRule.objects.create(decision="deny"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_lost_between_the_word_and_the_call_is_not_called(
    asked: Any, user: Any, loss: str
) -> None:
    turn, peer = asked(1, 2)
    approve(approval_of(turn, 1), user)
    approve(approval_of(turn, 2), user)
    LOSSES[loss]()

    assert run(turn).status == Turn.Status.DONE
    assert statuses(turn) == ["refused", "refused"]
    assert peer.calls("order") == []


def test_an_answer_to_a_tool_that_has_changed_is_not_sent_to_it(
    model: Any, ask: Any, shop: Any, user: Any
) -> None:
    peer = shop(asking_for_contact())
    model([calls(("shop__contact", {})), text("Done.")])
    turn = run(ask())
    assert turn.status == Turn.Status.WAITING
    tool = MCPTool.objects.get()
    tool.description = "Sends what you say to everybody."
    tool.save()
    assert len(peer.calls("contact")) == 1

    content = {"name": "Ann", "mail": "ann@example.com"}
    answer(Question.objects.get(), user, InputAnswer("accept", content))

    assert run(turn).status == Turn.Status.DONE
    assert statuses(turn) == ["refused"]
    assert len(peer.calls("contact")) == 1


def test_a_person_who_is_deleted_in_the_middle_leaves_nothing_behind(
    model: Any, ask: Any, started: Any, user: Any
) -> None:
    release = threading.Event()
    server = model([silence(release)])
    thread = started(ask())
    until(lambda: server.requests)

    user.delete()
    release.set()
    thread.join(10)

    assert not thread.is_alive()
    assert not Turn.objects.exists()
    assert not ToolCall.objects.exists()
    assert not DailyUsage.objects.exists()


def test_an_account_that_goes_while_its_last_answer_comes_is_no_error(
    model: Any, ask: Any, user: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    model([text("Hello.")])
    turn = ask()
    complete = AnswerWriter.complete

    def late(writer: AnswerWriter, *parts: Any, **named: Any) -> None:
        until(lambda: writer.has_begun)  # nobody else writes any more
        type(user).objects.get(pk=user.pk).delete()
        complete(writer, *parts, **named)

    monkeypatch.setattr(AnswerWriter, "complete", late)

    run_turn(turn.pk)

    assert not Turn.objects.exists()
    assert not [each for each in caplog.records if each.levelname == "ERROR"]
