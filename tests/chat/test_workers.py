"""Signs of life of processes that run turns, and what the sweep does by hand."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from chat.executors.thread import ThreadExecutor
from chat.models import Turn, Worker
from chat.sweeping import sweep
from tests.servers.scripted_replies import text

from .rows import let_lease_run_out, put
from .test_stopping import until

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_process_that_runs_turns_says_so_until_it_ends_in_order(model: Any) -> None:
    model(text("Good morning."))
    pool = ThreadExecutor()

    pool.start()
    until(lambda: Worker.objects.alive().filter(executor="thread").exists())
    pool.stop()

    assert not Worker.objects.exists()


def test_a_sign_of_life_says_how_many_turns_run(settings: Any) -> None:
    worker = Worker.objects.create(name="host:1", executor="thread", seen_at=_ago(minutes=1))

    Worker.objects.beat(worker.pk, name="host:1", executor="thread", running=3)

    worker.refresh_from_db()
    assert worker.running == 3
    assert list(Worker.objects.alive()) == [worker]


def test_the_sweep_clears_workers_that_died_long_ago() -> None:
    Worker.objects.create(name="host:1", executor="thread", seen_at=_ago(minutes=6))
    silent = Worker.objects.create(name="host:2", executor="thread", seen_at=_ago(minutes=1))

    sweep()

    assert list(Worker.objects.all()) == [silent]
    assert not Worker.objects.alive().exists()


def test_the_command_puts_turns_of_dead_processes_in_line_and_begins_none_itself(
    model: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = model(text("Good morning."))
    turn = put(ask(), Turn.Status.RUNNING)
    let_lease_run_out()
    monkeypatch.undo()  # the site's own executor takes what is recovered
    said = StringIO()

    call_command("recover_turns", stdout=said)

    turn.refresh_from_db()
    assert turn.status == Turn.Status.QUEUED
    assert said.getvalue().strip() == (
        "1 recovered, 0 expired, 0 removed, 1 in line, 0 of them handed over again."
    )
    assert server.requests == []


def test_a_turn_is_given_to_workers_again_once_in_a_lease(ask: Any) -> None:
    turn = ask()

    assert not turn.resubmit()
    Turn.objects.update(submitted_at=_ago(minutes=1))
    found, also_found = Turn.objects.get(), Turn.objects.get()

    assert found.resubmit()
    assert not also_found.resubmit()


def _ago(**spans: float) -> Any:
    return timezone.now() - timedelta(**spans)
