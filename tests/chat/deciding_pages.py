"""A turn that waits for its person's word, and what a browser sends to give it."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from automate.models import MCPTool
from chat.engine import run_turn
from chat.models import Approval, ToolCall, Turn
from chat.waiting import arguments_form
from tests.servers.scripted_replies import calls, text

from .deciding import ordering
from .rows import put

HTMX = {"HX-Request": "true"}


@pytest.fixture
def person(client: Client, user: Any) -> Client:
    client.force_login(user)
    return client


@pytest.fixture
def begin(model: Any, shop: Any, ask: Any) -> Any:
    """Let a turn run until it waits: `begin(ordering(), {"sku": "MUG"})`."""

    def run(offer: Any, arguments: Any, *, second: bool = False) -> Turn:
        shop(offer)
        MCPTool.objects.update(needs_second_person=second)
        model([calls((f"shop__{offer.name}", arguments)), text("Done.")], APPROVAL_DEFAULT="ask")
        turn: Turn = ask("Please")
        run_turn(turn.pk)
        turn.refresh_from_db()
        assert turn.status == Turn.Status.WAITING
        return turn

    return run


@pytest.fixture
def ordered(begin: Any) -> Turn:
    """A turn that waits for its order to be allowed."""
    turn: Turn = begin(ordering(), {"sku": "MUG", "count": 2})
    return turn


def approve_it(turn: Turn) -> None:
    approval = Approval.objects.get(call__turn=turn)
    Approval.objects.filter(pk=approval.pk).update(status=Approval.Status.APPROVED)
    ToolCall.objects.filter(pk=approval.call_id).update(status=ToolCall.Status.PENDING)
    put(turn, Turn.Status.QUEUED)
    run_turn(turn.pk)


def browser_of(django_user_model: Any, name: str, *rights: str, **fields: Any) -> Client:
    somebody = django_user_model.objects.create_user(name, **fields)
    somebody.user_permissions.set(Permission.objects.filter(codename__in=rights))
    browser = Client()
    browser.force_login(somebody)
    return browser


def decide_url(turn: Turn) -> str:
    return reverse("chat:decide", args=[Approval.objects.get(call__turn=turn).pk])


def typed(call: ToolCall, **fields: str) -> dict[str, str]:
    """The form of the order as a browser sends it."""
    form = arguments_form(call.approval, call)
    assert form is not None
    keys = {getattr(field, "name", ""): key for key, field in form.fields.items()}
    values = {"sku": "MUG", "count": "2", "note": "", "gift": ""} | fields
    sent = {form.add_prefix(keys[name]): text for name, text in values.items()}
    return {form.add_prefix("shown"): "1", **sent}
