"""A person's word at every moment of a turn: it is never lost, and nothing waits for it twice."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from automate.models import MCPServer
from automate.sync import sync_server
from chat.decisions import approve, deny, expire_overdue, resolve
from chat.models import Approval, ToolCall, Turn
from chat.submission import stop_turn
from chat.waiting import asked as asked_by
from tests.servers.mcp_sdk import Offer
from tests.servers.rest import RestServer
from tests.servers.scripted_replies import calls, text

from .approving import approval_of, order, run, statuses
from .test_disturbances import elsewhere

pytestmark = pytest.mark.django_db(transaction=True)


def expire(approval: Approval) -> None:
    Approval.objects.filter(pk=approval.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert expire_overdue() == 1


@pytest.mark.parametrize("way", ["denied", "expired"])
def test_what_is_refused_while_the_turn_runs_is_not_waited_for(
    model: Any, ask: Any, shop: Any, user: Any, executor: Any, way: str
) -> None:
    turn = ask()

    def refuse() -> None:
        approval = approval_of(turn, 2)
        deny(approval, user) if way == "denied" else expire(approval)

    peer = shop(
        Offer("read", handler=elsewhere(refuse), annotations={"readOnlyHint": True}),
        Offer("order"),
    )
    wanted = [("shop__read", {"number": 1}), ("shop__order", {"number": 2})]
    model([calls(*wanted), text("Done.")], APPROVAL_DEFAULT="annotations")
    run(turn)
    executor.turn_ids.remove(turn.pk)

    assert executor.turn_ids == [turn.pk]
    assert run(turn).status == Turn.Status.DONE
    assert statuses(turn) == ["succeeded", "refused"]
    assert peer.calls("order") == []


ORDER = {"name": "order", "description": "Order.", "inputSchema": {"type": "object"}}


def test_a_call_that_the_turn_has_gone_on_from_is_not_sent_again(
    model: Any, ask: Any, user: Any, executor: Any
) -> None:
    sent = []

    def do(tool: str, arguments: dict[str, Any]) -> Any:
        sent.append(arguments["number"])
        raise ConnectionError  # the answer never comes

    with RestServer([ORDER], do) as shop:
        row = MCPServer.objects.create(
            name="Shop", slug="shop", endpoint_url=shop.url, protocol="rest"
        )
        assert not sync_server(row).error
        model([order(1), order(2), text("Done.")], APPROVAL_DEFAULT="ask")
        turn = run(ask())
        approve(approval_of(turn, 1), user)
        assert run(turn).status == Turn.Status.WAITING
        lost = turn.tool_calls.get(status=ToolCall.Status.UNKNOWN)
        executor.turn_ids.clear()

        with pytest.raises(ValidationError, match="new message"):
            resolve(lost, user, "again")

        card = asked_by(lost)
        assert card is not None and not card.may_run_again
        deny(approval_of(turn, 2), user)
        assert run(turn).status == Turn.Status.DONE
        assert not ToolCall.objects.unfinished().exists()
    assert sent == [1]


def test_a_stop_is_not_lost_where_the_turn_begins_to_wait_at_that_moment(
    model: Any, ask: Any, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(Offer("order"))
    model([order(1), text("Done.")], APPROVAL_DEFAULT="ask")
    turn = ask()
    looked, waits = threading.Event(), threading.Event()
    request_cancel = Turn.request_cancel

    def too_late(self: Turn) -> bool:
        looked.set()
        assert waits.wait(10)
        return request_cancel(self)

    monkeypatch.setattr(Turn, "request_cancel", too_late)
    assert turn.claim(turn.pk)
    stopping = threading.Thread(target=elsewhere(lambda: stop_turn(turn)), args=({},))
    stopping.start()
    assert looked.wait(10)
    assert turn.wait(turn.pk)
    waits.set()
    stopping.join(10)

    turn.refresh_from_db()
    assert turn.status == Turn.Status.CANCELLED
