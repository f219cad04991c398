"""A person's stop, in another process than the one that runs the turn."""

import random
import threading
import time
from typing import Any

import pytest

from automate.models import MCPServer
from automate.sync import sync_server
from chat.models import ToolCall, Turn
from chat.submission import stop_turn
from tests.servers.raw import RawConnection, head
from tests.servers.scripted_replies import calls, chunk, event

from .deployment import Deployment
from .kinds import KINDS
from .test_killed_workers import ORDER, until

pytestmark = pytest.mark.django_db(transaction=True)

TURNS = 10
WITHIN_SECONDS = 0.5


class Left:
    """When each peer, by the sentence that it was asked with, saw its client hang up."""

    def __init__(self) -> None:
        self.began: set[str] = set()
        self.at: dict[str, float] = {}

    def wait(self, connection: RawConnection, sentence: str) -> None:
        self.began.add(sentence)
        connection.wait_for_end()
        self.at[sentence] = time.monotonic()


@pytest.fixture
def left() -> Left:
    return Left()


@pytest.fixture
def silent_model(settings: Any, raw_server: Any, left: Left) -> None:
    """Begins to answer and falls silent, or has something ordered."""

    def answer(connection: RawConnection) -> None:
        seen = connection.read_request()
        assert seen.body is not None
        sentence = seen.body["messages"][-1]["content"]
        connection.send(head("200 OK", {"Content-Type": "text/event-stream"}))
        if sentence.startswith("Order"):
            connection.send(b"".join(calls(("shop__order", {"for": sentence})).events))
        else:
            connection.send(event(chunk({"role": "assistant", "content": "Well"})))
            left.wait(connection, sentence)

    settings.AUTOMATE = {
        "MODELS": {"default": {"MODEL": "scripted", "BASE_URL": f"{raw_server(answer).url}/v1"}},
        "MCP_PRIVATE_HOSTS": ("127.0.0.1",),
        "APPROVAL_DEFAULT": "allow",
        "EXECUTOR_THREADS": 2 * TURNS,
    }


@pytest.fixture
def silent_shop(raw_server: Any, left: Left, silent_model: None) -> None:
    """Takes every order and never answers."""

    def serve(connection: RawConnection) -> None:
        seen = connection.read_request()
        if seen.method == "GET":
            connection.respond({"tools": [ORDER]})
        else:
            assert seen.body is not None
            left.wait(connection, seen.body["arguments"]["for"])

    row = MCPServer.objects.create(
        name="Shop", slug="shop", endpoint_url=raw_server(serve).url, protocol="rest"
    )
    assert not sync_server(row).error


def test_a_stop_in_another_process_reaches_model_and_tool_within_half_a_second(
    silent_shop: None, left: Left, user: Any, executor: Any
) -> None:
    with Deployment(KINDS[0], user) as site:
        turns = {}
        for number in range(TURNS):
            for sentence in (f"Tell me {number}", f"Order {number}"):
                turns[sentence] = Turn.objects.get(pk=site.send(sentence))
        until(lambda: left.began == set(turns))
        stopped: dict[str, float] = {}
        for sentence, turn in turns.items():
            # At any moment between two looks of the other process.
            threading.Event().wait(random.uniform(0, 0.1))
            stopped[sentence] = time.monotonic()
            stop_turn(turn)
        until(lambda: left.at.keys() == turns.keys())
        until(lambda: not Turn.objects.unfinished().exists())

    seconds = sorted(left.at[sentence] - stopped[sentence] for sentence in turns)
    print(f"median {seconds[TURNS]:.3f} s, p95 {seconds[-2]:.3f} s, slowest {seconds[-1]:.3f} s")
    assert seconds[-2] <= WITHIN_SECONDS
    assert set(Turn.objects.values_list("status", flat=True)) == {Turn.Status.CANCELLED}
    assert not ToolCall.objects.unfinished().exists()
