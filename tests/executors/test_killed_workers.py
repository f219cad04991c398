"""A worker killed in the middle of its turns, with every executor: nothing lost, nothing twice."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from automate.models import MCPServer
from automate.sync import sync_server
from chat.models import ToolCall, Turn, TurnEvent, Worker
from tests.servers.scripted_replies import Reply, Request, calls, text

from .deployment import Deployment
from .kinds import KINDS, Kind

pytestmark = pytest.mark.django_db(transaction=True)

ORDER = {"name": "order", "description": "Order.", "inputSchema": {"type": "object"}}
STORY = "Once upon a time there was a mug that nobody ever filled."


def until(condition: Callable[[], Any], seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        threading.Event().wait(0.05)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_killed_worker_loses_nothing_and_repeats_nothing(
    kind: Kind, model: Any, user: Any, rest_server: Any
) -> None:
    if kind.missing:
        pytest.skip(kind.missing)
    pace = threading.Semaphore(4)
    go_on, effects = threading.Event(), Counter[str]()

    def script(request: Request) -> Reply:
        if request.messages[-1]["role"] == "tool":
            return text("It is on its way.")
        sentence = request.messages[-1]["content"]
        if sentence == "Tell me a story":
            return text(STORY).paced(pace)
        return calls(("shop__order", {"for": sentence}))

    def order(tool: str, arguments: dict[str, Any]) -> str:
        effects[arguments["for"]] += 1
        go_on.wait(20)
        return "ordered"

    model(script)
    shop = rest_server([ORDER], order)
    row = MCPServer.objects.create(name="Shop", slug="shop", endpoint_url=shop.url, protocol="rest")
    assert not sync_server(row).error
    with Deployment(kind, user) as site:
        site.start_workers()
        told, ordered = site.send("Tell me a story"), site.send("Order a mug")
        written = TurnEvent.objects.filter(turn=told, kind=TurnEvent.Kind.TEXT)
        until(lambda: written.exists() and effects)
        pieces = [event.data["text"] for event in written]
        died = set(Worker.objects.values_list("name", flat=True))

        site.kill_workers()
        for _ in range(100):
            pace.release()
        go_on.set()
        site.start_workers()

        until(lambda: Turn.objects.filter(pk=told, status=Turn.Status.DONE).exists())
        until(lambda: Turn.objects.filter(pk=ordered, status=Turn.Status.WAITING).exists())
        call = ToolCall.objects.get()
        assert call.status == ToolCall.Status.UNKNOWN
        site.told("resolve", call=call.pk, outcome="done")
        until(lambda: Turn.objects.filter(pk=ordered, status=Turn.Status.DONE).exists())
        living = Worker.objects.alive().exclude(name__in=died)
        until(lambda: living.exists())
        site.end_workers()

    answers = Turn.objects.get(pk=told).messages.filter(role="assistant").order_by("pk")
    assert answers[0].interrupted
    assert answers[0].content == "".join(pieces)
    assert answers[1].content == STORY
    assert effects == {"Order a mug": 1}
    assert died
    if kind.worker:
        assert not living.exists()
