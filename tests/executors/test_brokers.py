"""Brokers that are away, that come back, and that deliver twice."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from chat.models import Turn, Worker
from chat.submission import send_message
from tests.servers.raw import RawConnection, RawServer
from tests.servers.scripted_replies import silence, text

from .deployment import ROOT, Deployment
from .kinds import KINDS, Kind
from .test_killed_workers import until

pytestmark = pytest.mark.django_db(transaction=True)

BY_NAME = {kind.name: kind for kind in KINDS}
REMOTE = [kind for kind in KINDS if kind.worker]


def needed(kind: Kind) -> Kind:
    if kind.missing:
        pytest.skip(kind.missing)
    return kind


def at_port(kind: Kind, port: int) -> Kind:
    """The same executor, its broker at another port."""
    environment = {
        name: value.replace("6379", str(port)).replace("5672", str(port))
        for name, value in kind.environment.items()
    }
    return replace(kind, environment=environment, port=port)


def is_done(turn: Any) -> bool:
    return Turn.objects.filter(pk=turn, status=Turn.Status.DONE).exists()


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.fixture
def silent_port(raw_server: Callable[..., RawServer]) -> int:
    """Something that takes connections and never says a word, as a machine that hangs does."""

    def say_nothing(connection: RawConnection) -> None:
        connection.wait_for_end()

    return raw_server(say_nothing).port


@pytest.fixture
def redis_at(tmp_path: Path) -> Iterator[Callable[[int], None]]:
    """Start a Redis of the test's own, empty, at a port."""
    with ExitStack() as running:

        def start(port: int) -> None:
            command = ["redis-server", "--port", str(port), "--save", "", "--dir", str(tmp_path)]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            running.callback(process.wait)
            running.callback(process.kill)

        yield start


@pytest.mark.parametrize("way", ["closed_port", "silent_port"])
@pytest.mark.parametrize("name", ["celery-redis", "celery-rabbitmq", "tasks-huey-redis"])
def test_sending_neither_fails_nor_waits_while_the_broker_is_away(
    model: Any, user: Any, request: pytest.FixtureRequest, name: str, way: str
) -> None:
    model(text("Good morning."))
    kind = at_port(BY_NAME[name], request.getfixturevalue(way))
    with Deployment(kind, user) as site:
        answers = [site.told("send", user=user.username, text="Hello") for _ in range(3)]

    assert max(answer["seconds"] for answer in answers) < 1
    assert set(Turn.objects.values_list("status", flat=True)) == {Turn.Status.QUEUED}


def test_what_was_sent_while_the_broker_was_away_is_answered_when_it_is_back(
    model: Any, user: Any, closed_port: int, redis_at: Callable[[int], None]
) -> None:
    needed(BY_NAME["celery-redis"])
    model(text("Good morning."))
    with Deployment(at_port(BY_NAME["celery-redis"], closed_port), user) as site:
        turn = site.send("Hello")
        site.start_workers()
        redis_at(closed_port)

        until(lambda: is_done(turn))


@pytest.mark.parametrize("kind", REMOTE, ids=lambda kind: kind.name)
def test_the_web_process_runs_no_turn_and_a_turn_that_is_delivered_again_runs_once(
    model: Any, user: Any, kind: Kind
) -> None:
    release = threading.Event()
    server = model(silence(release, text("Good morning.")))
    with Deployment(needed(kind), user, LEASE_SECONDS=20.0) as site:
        first = site.send("Hello")
        for _ in range(3):
            site.told("submit", turn=str(first))
        after = site.send("Hello again")

        assert (server.requests, Worker.objects.count()) == ([], 0)
        site.start_workers()
        # What was delivered twice stands in line before it.
        until(lambda: len(server.requests) == 2)
        release.set()
        until(lambda: is_done(first) and is_done(after))

    assert len(server.requests) == 2
    assert set(Turn.objects.values_list("attempt", flat=True)) == {1}


def test_the_command_hands_a_forgotten_turn_to_the_workers(
    model: Any, user: Any, executor: Any
) -> None:
    kind = needed(BY_NAME["celery-redis"])
    model(text("Good morning."))
    turn = send_message(user, None, "Hello", uuid4()).pk
    Turn.objects.update(submitted_at=timezone.now() - timedelta(minutes=1))
    with Deployment(kind, user, web=False) as site:
        command = [sys.executable, "manage.py", "recover_turns"]
        said = subprocess.run(
            command, cwd=ROOT, env=site.environment, capture_output=True, text=True, check=True
        )
        site.start_workers()
        until(lambda: is_done(turn))

    assert said.stdout.strip().endswith("1 in line, 1 of them handed over again.")
