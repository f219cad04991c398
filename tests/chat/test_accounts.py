"""Tools of servers to which each person connects an account."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from automate.models import MCPServer, MCPTool
from automate_llm.http import close_pools
from chat.engine import run_turn
from chat.models import ToolCall, Turn
from tests.automate.oauth_making import hold
from tests.servers.oauth import OAuthServer
from tests.servers.scripted_replies import calls, text

pytestmark = pytest.mark.django_db

LINK = '<a class="button" href="/mcp/accounts/">Connect your account</a>'


@pytest.fixture
def peer() -> Iterator[OAuthServer]:
    """A server behind OAuth."""
    with OAuthServer() as server:
        yield server
        close_pools()


@pytest.fixture
def tracker(db: None, peer: OAuthServer) -> MCPServer:
    """Its row, with one tool that a chat may call."""
    server = MCPServer.objects.create(
        name="Tracker",
        slug="tracker",
        endpoint_url=peer.url,
        auth_type="oauth_user",
        protocol="rest",
    )
    schema = {"type": "object"}
    MCPTool.objects.create(server=server, name="search", title="Search", input_schema=schema)
    return server


def finished(turn: Turn) -> ToolCall:
    run_turn(turn.pk)
    return turn.tool_calls.get()


def page_of(client: Client, call: ToolCall) -> str:
    address = reverse("chat:conversation", args=[call.turn.conversation_id])
    return client.get(address).content.decode()


def test_a_call_without_an_account_fails_in_words_and_leads_to_the_page(
    model: Any, ask: Any, user: Any, client: Client, tracker: MCPServer, peer: OAuthServer
) -> None:
    server = model([calls(("tracker__search", {})), text("Please connect first.")])
    client.force_login(user)

    call = finished(ask())

    assert (call.status, call.needs_account) == (ToolCall.Status.FAILED, True)
    assert call.error == "Connect your account of Tracker first."
    assert "Connect your account of Tracker first." in str(server.requests[1].messages)
    assert LINK in page_of(client, call)
    assert peer.requests == []


def test_a_call_with_an_account_is_made_with_it(
    model: Any, ask: Any, user: Any, client: Client, tracker: MCPServer, peer: OAuthServer
) -> None:
    token = hold(peer, tracker, user)
    model([calls(("tracker__search", {})), text("Done.")])
    client.force_login(user)

    call = finished(ask())

    assert (call.status, call.needs_account) == (ToolCall.Status.SUCCEEDED, False)
    assert peer.to("/api/execute")[0].headers["authorization"] == f"Bearer {token.access_token}"
    assert LINK not in page_of(client, call)


@pytest.mark.django_db(transaction=True)
def test_parallel_calls_renew_one_token_once(
    model: Any, ask: Any, user: Any, tracker: MCPServer, peer: OAuthServer
) -> None:
    hold(peer, tracker, user, ended=True)
    several = [("tracker__search", {"number": number}) for number in range(4)]
    model([calls(*several), text("Done.")])
    turn = ask()

    run_turn(turn.pk)

    assert [call.status for call in turn.tool_calls.all()] == [ToolCall.Status.SUCCEEDED] * 4
    assert peer.grants() == ["refresh_token"]
