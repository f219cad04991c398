"""What a process with an executor does from time to time."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from chat.engine import run_turn
from chat.executors.upkeep import Upkeep
from chat.models import Approval, ToolCall
from chat.sweeping import sweep
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, text

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_database_that_is_away_for_a_moment_does_not_end_it(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.AUTOMATE = {"LEASE_SECONDS": 0.03}
    broken, handed_over = threading.Event(), threading.Event()

    def look() -> None:
        if not broken.is_set():
            broken.set()
            raise OperationalError("the connection is gone")

    monkeypatch.setattr("chat.executors.upkeep.close_old_connections", look)
    upkeep = Upkeep("thread", lambda turns: handed_over.set())
    upkeep.start()

    assert handed_over.wait(10)
    upkeep.stop()
    assert broken.is_set()
    assert "goes on" in caplog.text


def test_an_approval_whose_call_no_longer_waits_does_not_end_the_sweep(
    model: Any, ask: Any, shop: Any
) -> None:
    shop(Offer("order"))
    model([calls(("shop__order", {})), text("Done.")], APPROVAL_DEFAULT="ask")
    run_turn(ask().pk)
    ToolCall.objects.update(status=ToolCall.Status.FAILED)
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    swept = sweep()

    assert (swept.expired, len(swept.queued)) == (1, 1)
    assert Approval.objects.get().status == Approval.Status.EXPIRED
