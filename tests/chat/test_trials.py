"""Tools tried in the admin: by the same policy, once, on record."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from automate.models import MCPTool, ToolRule
from chat.models import CallRecord
from tests.servers.mcp_sdk import Offer

pytestmark = pytest.mark.django_db(transaction=True)

SCHEMA = {
    "type": "object",
    "properties": {
        "sku": {"type": "string", "title": "Article"},
        "count": {"type": "integer", "minimum": 1},
        "size": {"enum": ["small", "large"]},
        "note": {"type": ["string", "null"]},
        "password": {"type": "string"},
        "to": {"$ref": "#/$defs/Address"},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
    },
    "required": ["sku", "count"],
    "additionalProperties": False,
    "$defs": {"Address": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
GIVEN = {"arguments-f0": "MUG", "arguments-f1": "2"}


@pytest.fixture
def tester(db: None) -> Any:
    person = get_user_model().objects.create_user("tessa", is_staff=True)
    names = ["try_tool", "view_callrecord", "view_mcptool"]
    person.user_permissions.set(Permission.objects.filter(codename__in=names))
    return person


@pytest.fixture
def trial(tester: Any, client: Client, shop: Any, model: Any) -> Callable[..., Any]:
    """Register a tool; the page with its form, and how to send it."""
    client.force_login(tester)

    def begin(handler: Any = lambda arguments: {"ordered": arguments}, **automate: Any) -> Any:
        model([], **automate)
        peer = shop(Offer("order", input_schema=SCHEMA, handler=handler))
        tool = MCPTool.objects.get()
        address = reverse("admin:automate_chat_callrecord_try", args=[tool.pk])

        def send(page: str, **fields: Any) -> str:
            data = {"arguments-shown": "1", **GIVEN, **hidden(page), **fields}
            return client.post(address, data).content.decode()

        return peer, tool, client.get(address).content.decode(), send

    return begin


def hidden(page: str) -> dict[str, str]:
    found = re.search(r'name="submission" value="([^"]+)"', page)
    return {"submission": found[1]} if found else {}


def asked(page: str) -> dict[str, str]:
    found = re.search(r'name="confirmed" value="([^"]+)"', page)
    assert found
    return {"confirmed": found[1]}


def lines() -> list[tuple[str, str, str]]:
    return list(CallRecord.objects.order_by("pk").values_list("origin", "outcome", "permission"))


def test_a_form_of_the_schema_sends_what_was_filled_in_and_nothing_else(trial: Any) -> None:
    peer, _tool, page, send = trial()
    assert "Article" in page and "small" in page

    answer = send(page)

    assert peer.calls("order") == [{"sku": "MUG", "count": 2}]
    assert "It succeeded" in answer and "ordered" in answer
    assert lines() == [("trial", "running", "policy"), ("trial", "succeeded", "policy")]
    record = CallRecord.objects.latest("pk")
    assert (record.user_name, record.arguments) == ("tessa", {"sku": "MUG", "count": 2})


def test_the_same_page_sent_twice_calls_once(trial: Any) -> None:
    peer, _tool, page, send = trial()
    send(page)
    assert "sent already" in send(page)
    assert len(peer.calls("order")) == 1


def test_arguments_that_do_not_fit_are_told_and_kept(trial: Any) -> None:
    peer, _tool, page, send = trial()
    answer = send(page, **{"arguments-f1": "0"})
    assert "errorlist" in answer and "at least" in answer
    assert peer.calls("order") == [] and lines() == []


def test_what_asks_in_a_chat_needs_a_yes_to_exactly_these_arguments(trial: Any) -> None:
    peer, _tool, page, send = trial(APPROVAL_DEFAULT="ask")
    question = send(page)
    assert "needs your confirmation" in question and peer.calls("order") == []

    other = send(question, **asked(question), **{"arguments-f1": "9"})
    assert "needs your confirmation" in other and peer.calls("order") == []

    assert "It succeeded" in send(question, **asked(question))
    assert lines()[-1] == ("trial", "succeeded", "person")


@pytest.mark.parametrize("forbid", ["rule", "second person", "disabled", "permission of the tool"])
def test_what_the_chat_would_refuse_is_refused_here(trial: Any, forbid: str) -> None:
    peer, tool, page, send = trial()
    if forbid == "rule":
        ToolRule.objects.create(tool=tool, decision="deny", note="Not in December.")
    elif forbid == "second person":
        MCPTool.objects.update(needs_second_person=True)
    elif forbid == "disabled":
        MCPTool.objects.update(enabled=False)
    else:
        MCPTool.objects.update(required_permission="auth.view_user")
    send(page)
    assert peer.calls("order") == [] and lines() == []


def test_a_failure_is_told_in_words_and_recorded(trial: Any) -> None:
    _peer, _tool, page, send = trial(handler=lambda arguments: 1 / 0)
    assert "It failed" in send(page)
    assert lines()[-1][1] == "failed"


def test_a_server_that_went_away_is_told(trial: Any) -> None:
    peer, _tool, page, send = trial()
    peer.stop()
    assert "Connection error" in send(page)
    assert lines()[-1][1] == "failed"


def test_a_past_call_is_run_again_without_its_secrets(trial: Any, client: Client) -> None:
    peer, _tool, page, send = trial()
    # PostgreSQL keeps no order of an object's keys, so that a field is found by its label.
    field = re.search(r'for="id_(arguments-f\d+)">password', page)
    assert field
    send(page, **{field[1]: "hunter2"})
    address = reverse(
        "admin:automate_chat_callrecord_again", args=[CallRecord.objects.latest("pk").pk]
    )
    MCPTool.objects.update(version=2)

    again = client.get(address).content.decode()
    assert "MUG" in again and "hunter2" not in again and "redacted" not in again
    assert "version 1 then, and is version 2 now" in again
    assert len(peer.calls("order")) == 1  # nothing runs by being looked at

    client.post(address, {"arguments-shown": "1", **GIVEN, **hidden(again)})
    assert len(peer.calls("order")) == 2 and lines()[-1] == ("replay", "succeeded", "policy")


def test_it_takes_its_own_permission(trial: Any, tester: Any, client: Client) -> None:
    _peer, tool, page, send = trial()
    send(page)
    tool_page = reverse("admin:automate_mcptool_change", args=[tool.pk])
    again = reverse(
        "admin:automate_chat_callrecord_again", args=[CallRecord.objects.latest("pk").pk]
    )
    address = reverse("admin:automate_chat_callrecord_try", args=[tool.pk])
    assert address in client.get(tool_page).content.decode()

    tester.user_permissions.remove(Permission.objects.get(codename="try_tool"))

    assert address not in client.get(tool_page).content.decode()
    assert client.get(address).status_code == client.get(again).status_code == 403
