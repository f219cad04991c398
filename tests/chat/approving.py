"""Turns whose calls wait to be allowed, and what became of them."""

from typing import Any

import pytest

from chat.engine import run_turn
from chat.models import Approval, Turn
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, text

NUMBER = {
    "type": "object",
    "properties": {"number": {"type": "integer", "maximum": 9}},
    "required": ["number"],
}


def order(*numbers: int) -> Any:
    return calls(*(("shop__order", {"number": number}) for number in numbers))


def run(turn: Turn) -> Turn:
    run_turn(turn.pk)
    turn.refresh_from_db()
    return turn


@pytest.fixture
def asked(model: Any, ask: Any, shop: Any) -> Any:
    """Let the model want orders, each of which waits: `turn, peer = asked(1, 2)`."""

    def wait(
        *numbers: int, then: Any = (), handler: Any = lambda arguments: "ordered", **automate: Any
    ) -> tuple[Turn, Any]:
        peer = shop(Offer("order", input_schema=NUMBER, handler=handler))
        server = model(
            [order(*numbers), *then, text("Done.")], **{"APPROVAL_DEFAULT": "ask", **automate}
        )
        turn = run(ask())
        turn.model_server = server
        assert turn.status == Turn.Status.WAITING
        return turn, peer

    return wait


def approval_of(turn: Turn, number: int = 1) -> Approval:
    return Approval.objects.get(call__turn=turn, call__arguments={"number": number})


def statuses(turn: Turn) -> list[str]:
    return [call.status for call in turn.tool_calls.all()]


def told(turn: Turn) -> str:
    """What the model was told about the last call."""
    return turn.model_server.requests[-1].messages[-1]["content"]
