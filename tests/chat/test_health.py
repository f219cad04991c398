"""`/healthz`: what a load balancer is told."""

import threading
import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from chat import health
from chat.health import Prober
from chat.models import Turn, Worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_answer_is_kept() -> None:
    health._prober.forget()


def asked(client: Client, query: str = "") -> tuple[int, dict[str, Any]]:
    answer = client.get(f"/healthz{query}")
    return answer.status_code, answer.json()


def test_a_site_that_is_well_says_so_without_a_login(client: Client) -> None:
    code, body = asked(client)

    assert (code, body["status"]) == (200, "ok")
    assert body["checks"]["executor"] == {
        "ok": True,
        "executor": "thread",
        "workers": "in process",
    }
    assert body["checks"]["queue"] == {"ok": True, "turns": 0, "oldest_seconds": 0.0}


def test_a_turn_that_waits_too_long_is_a_503(client: Client, ask: Any, settings: Any) -> None:
    settings.AUTOMATE = {"HEALTH_QUEUE_SECONDS": 60}
    turn = ask()
    assert asked(client)[0] == 200
    health._prober.forget()
    Turn.objects.update(created_at=timezone.now() - timedelta(minutes=5))

    code, body = asked(client)

    assert (code, turn.status) == (503, "queued")
    assert body["checks"]["queue"]["ok"] is False
    assert 299 < body["checks"]["queue"]["oldest_seconds"] < 400


def test_a_turn_that_went_on_after_a_person_is_as_old_as_its_place_in_line(
    client: Client, ask: Any
) -> None:
    ask()
    Turn.objects.update(
        created_at=timezone.now() - timedelta(days=1), started_at=timezone.now() - timedelta(days=1)
    )

    assert asked(client)[1]["checks"]["queue"]["oldest_seconds"] < 60


def test_an_executor_elsewhere_needs_a_worker_that_lives(client: Client, settings: Any) -> None:
    settings.AUTOMATE = {"EXECUTOR": "celery"}
    assert asked(client)[0] == 503
    Worker.objects.beat(uuid.uuid4(), name="dead:1", executor="celery")
    Worker.objects.update(seen_at=timezone.now() - timedelta(hours=1))
    health._prober.forget()
    code, body = asked(client)
    assert (code, body["checks"]["executor"]["workers"]) == (503, 0)
    health._prober.forget()

    Worker.objects.beat(uuid.uuid4(), name="alive:1", executor="celery")

    assert asked(client)[0] == 200


def test_a_load_balancer_may_ask_for_the_database_alone(client: Client, settings: Any) -> None:
    settings.AUTOMATE = {"EXECUTOR": "celery"}

    code, body = asked(client, "?only=database")

    assert (code, list(body["checks"])) == (200, ["database"])
    assert asked(client, "?only=nonsense")[0] == 503


def test_a_database_that_fails_is_a_503_without_its_words(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Any:
        raise RuntimeError("password authentication failed for user secret")

    monkeypatch.setattr(health._prober, "_look", fail)

    code, body = asked(client)

    assert code == 503
    assert body["checks"] == {"database": {"ok": False, "why": "It could not be asked."}}


def test_a_database_that_does_not_answer_is_reported_and_not_waited_for() -> None:
    released = threading.Event()
    looks: list[int] = []

    def hang() -> Any:
        looks.append(1)
        released.wait(10)
        return {"database": {"ok": True}}

    prober = Prober(hang)
    began = time.monotonic()

    first, second = prober.report(0.05), prober.report(0.05)

    assert first == second == {"database": {"ok": False, "why": "It does not answer."}}
    assert time.monotonic() - began < 5
    assert looks == [1]
    released.set()
    assert prober.report(5) == {"database": {"ok": True}}


def test_many_who_ask_at_once_cost_one_look() -> None:
    looks: list[int] = []

    def look() -> Any:
        looks.append(1)
        return {}

    prober = Prober(look)

    for _ in range(20):
        prober.report()

    assert len(looks) == 1


def test_it_changes_nothing_and_is_never_cached(client: Client) -> None:
    assert client.post("/healthz").status_code == 405
    assert "no-store" in client.get("/healthz")["Cache-Control"]
    assert client.head("/healthz").status_code == 200
