"""What a person and a model are told of a tool whose server answers badly, and what goes on."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from automate.models import MCPServer
from chat.models import ToolCall, Turn
from tests.chat.test_engine import answers_of, finished, tool_messages
from tests.servers.mcp_sdk import Offer
from tests.servers.raw import RawConnection
from tests.servers.scripted_replies import calls, text

pytestmark = pytest.mark.django_db


def status(line: str) -> Callable[[RawConnection], object]:
    return lambda connection: connection.respond(b"their own words", line)


@pytest.mark.parametrize(
    ("answer", "sentence", "outcome"),
    [
        (status("401 Unauthorized"), "HTTP 401: the server wants a valid credential", "failed"),
        (status("404 Not Found"), "HTTP 404: nothing is at this address", "failed"),
        (status("503 Service Unavailable"), "HTTP 503: the server failed", "unknown"),
        (lambda each: each.respond("<!doctype html>Hello"), "neither JSON nor", "unknown"),
        (lambda each: each.respond(b'{"jsonrpc": "2.0", "id"'), "not JSON", "unknown"),
        (lambda each: each.close(), "the server closed the connection", "unknown"),
    ],
    ids=["401", "404", "503", "html", "half", "hung up"],
)
def test_a_tool_whose_server_answers_badly_is_told_in_a_sentence_and_the_next_turn_works(
    model: Any,
    ask: Any,
    shop: Any,
    raw_server: Any,
    user: Any,
    answer: Callable[[RawConnection], object],
    sentence: str,
    outcome: str,
) -> None:
    def script(connection: RawConnection) -> None:
        connection.read_request()
        answer(connection)

    good = shop(Offer("echo", handler=lambda arguments: "all well"))
    row = MCPServer.objects.filter(slug="shop")
    row.update(endpoint_url=raw_server(script).url)
    call = calls(("shop__echo", {}))
    server = model([call, text("It does not work."), call, text("Now it does.")])

    turn = finished(ask())

    stored = turn.tool_calls.get()
    assert (turn.status, stored.status) == (Turn.Status.DONE, outcome)
    assert sentence in stored.error
    assert sentence in tool_messages(server.requests[1])[0]
    assert "their own words" not in stored.error + tool_messages(server.requests[1])[0]
    assert sentence in card(user, stored)
    row.update(endpoint_url=good.url)
    later = finished(ask("Again?", conversation=turn.conversation))
    assert later.tool_calls.get().status == ToolCall.Status.SUCCEEDED
    assert answers_of(later)[-1] == "Now it does."


def card(user: Any, call: ToolCall) -> str:
    """The call as its owner's page shows it."""
    person = Client()
    person.force_login(user)
    address = reverse("chat:conversation", args=[call.turn.conversation_id])
    page = person.get(address).content.decode()
    return page[page.index(f'id="call-{call.pk}"') :].partition("</details>")[0]
