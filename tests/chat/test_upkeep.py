"""What a process with an executor does from time to time."""

import threading
from typing import Any

import pytest
from django.db import OperationalError

from chat.executors.upkeep import Upkeep

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
