"""One clock for all machines: leases and signs of life are written and judged by the database's."""

import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from chat import clock
from chat.clock import database_now
from chat.models import Turn, Worker
from chat.recovery import recover_abandoned

from .rows import let_lease_run_out

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_earlier_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_looks", {})


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
@pytest.mark.parametrize("uses_zones", [True, False])
def test_it_is_the_time_in_the_sites_own_form(settings: Any, zone: str, uses_zones: bool) -> None:
    settings.USE_TZ, settings.TIME_ZONE = uses_zones, zone

    found = database_now("default")

    assert abs(found - timezone.now()) < timedelta(seconds=1)
    assert timezone.is_aware(found) == uses_zones


@pytest.mark.skipif(connection.vendor == "sqlite", reason="a file has its machine's own clock")
@pytest.mark.parametrize("minutes", [1, -1])
def test_a_machine_whose_clock_differs_by_a_minute_takes_no_turn_and_loses_none(
    ask: Any, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    now, seconds = timezone.now, time.time
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(minutes=minutes))
    monkeypatch.setattr(time, "time", lambda: seconds() + minutes * 60)
    assert ask().claim(uuid4())
    Worker.objects.beat(uuid4(), name="host:1", executor="thread", running=1)
    monkeypatch.undo()

    assert recover_abandoned() == 0
    assert Worker.objects.alive().count() == 1
    assert abs(Turn.objects.get().lease_until - now()) < timedelta(seconds=31)
    let_lease_run_out()
    assert recover_abandoned() == 1


def test_the_database_is_asked_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    steady = time.monotonic
    at_first = database_now("default")

    with django_assert_num_queries(0):
        assert database_now("default") >= at_first

    monkeypatch.setattr(time, "monotonic", lambda: steady() + 61)
    asked = 0 if connection.vendor == "sqlite" else 1
    with django_assert_num_queries(asked):
        assert database_now("default") - at_first < timedelta(seconds=30)
