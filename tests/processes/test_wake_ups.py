"""Wake-ups between processes: quick where they are carried, and never missed for good."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from statistics import median
from typing import Any

import pytest
from django.db import connection
from django.test import Client

import config.asgi  # noqa: F401  # sets up the logging anew, which `caplog` would not outlive
from chat import running
from chat.events import EventLog
from chat.models import Message, Turn, TurnEvent
from chat.wake_ups import POLL_SECONDS, wake_ups
from tests.chat.hearing import Waiter, hears
from tests.chat.reading_streams import Browser, Page
from tests.chat.test_stopping import until
from tests.chat.test_streams import an_answer, finish
from tests.servers.redis import RedisServer
from tests.servers.scripted_replies import silence
from tests.servers.site import Site
from tests.servers.site_process import SiteProcess

pytestmark = pytest.mark.django_db(transaction=True)

QUICK_SECONDS = POLL_SECONDS / 4


class OtherProcess:
    """A process of the same site; see `other_process`."""

    def __init__(self, automate: dict[str, Any]) -> None:
        name = str(connection.settings_dict["NAME"])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.processes.other_process", name, json.dumps(automate)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        )

    def do(self, what: str, turn: Turn, **more: Any) -> float:
        """Have it done; returns when it was."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, "turn": str(turn.pk), **more}) + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def end(self) -> None:
        try:
            self._process.communicate(timeout=60)
        finally:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def other(settings: Any) -> Iterator[Callable[..., OtherProcess]]:
    """Start another process with the settings that this one has, and hear it from then on."""
    with ExitStack() as running:

        def start() -> OtherProcess:
            wake_ups.close()
            process = OtherProcess(settings.AUTOMATE)
            running.callback(process.end)
            return process

        yield start
    wake_ups.close()


@pytest.fixture
def turn(ask: Any) -> Turn:
    turn: Turn = ask("How many mugs?")
    assert turn.claim(turn.pk)
    return turn


def test_an_event_of_another_process_wakes_a_reader_at_once(
    carried: str, other: Callable[[], OtherProcess], turn: Turn
) -> None:
    message, waiter, delays = an_answer(turn), Waiter(), []
    process = other()
    with wake_ups.listen(turn.pk, waiter.wake):
        waiter.wait_for(1)  # the others are heard from here on

        for number in range(1, 6):
            written = process.do("append", turn, message=message.pk, text="mug ")
            waiter.wait_for(number + 1)
            delays.append(waiter.woken_at[number] - written)

    assert median(delays) < QUICK_SECONDS
    assert turn.events.count() == 5


@pytest.fixture
def _hardly_looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the watch over turns look by itself only once a minute, and not go on so afterwards."""
    until(lambda: running._watcher is None)
    monkeypatch.setattr(running, "LOOK_SECONDS", 60.0)
    yield
    running._look_at_once()
    until(lambda: running._watcher is None)


@pytest.mark.usefixtures("_hardly_looks")
def test_a_stop_that_another_process_asked_for_is_heard_at_once(
    carried: str,
    other: Callable[[], OtherProcess],
    model: Any,
    ask: Any,
    started: Any,
    settings: Any,
) -> None:
    way = {name: settings.AUTOMATE[name] for name in ("WAKE_UPS", "REDIS_URL")}
    release = threading.Event()
    server = model([silence(release)], **way)
    process = other()
    turn = ask()
    thread = started(turn)
    until(lambda: server.requests)
    until(lambda: hears(turn))

    asked = process.do("stop", turn)
    thread.join(10)
    took = time.monotonic() - asked
    release.set()

    turn.refresh_from_db()
    assert turn.status == Turn.Status.CANCELLED
    assert took < 0.5


def test_without_a_carrier_a_reader_finds_the_events_of_another_process_by_itself(
    other: Callable[[], OtherProcess], settings: Any, turn: Turn, user: Any, client: Client
) -> None:
    settings.AUTOMATE = {**settings.AUTOMATE, "WAKE_UPS": "local"}
    client.force_login(user)
    message, process = an_answer(turn), other()
    with Site() as site:
        browser = Browser(site, client, turn)
        process.do("append", turn, message=message.pk, text="seven")
        [event] = browser.wait_for(1)
        finish(turn, EventLog(turn.pk))
        browser.wait_for_end()

    assert event.data["tail"] == "seven"


def test_redis_gone_in_the_middle_costs_time_and_no_event(
    redis_server: RedisServer,
    other: Callable[[], OtherProcess],
    settings: Any,
    turn: Turn,
    user: Any,
    client: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    settings.AUTOMATE = {**settings.AUTOMATE, "WAKE_UPS": "redis", "REDIS_URL": redis_server.url}
    client.force_login(user)
    message, process = an_answer(turn), other()
    taken: list[float] = []

    def write(number: int) -> None:
        began = time.monotonic()
        process.do("append", turn, message=message.pk, text=f"word{number} ")
        taken.append(time.monotonic() - began)
        browser.wait_for(number)

    with Site() as site:
        browser = Browser(site, client, turn)
        write(1)
        redis_server.kill()
        for number in (2, 3, 4):
            write(number)
        redis_server.start()
        until(lambda: hears(turn))
        write(5)
        finish(turn, EventLog(turn.pk))
        events = browser.wait_for_end()

    text = "".join(event.data.get("append") or event.data.get("tail", "") for event in events[:5])
    assert text == "word1 word2 word3 word4 word5 "
    assert max(taken[1:]) < 1.5
    lost = [record for record in caplog.records if "are not heard" in record.getMessage()]
    assert len(lost) == 1


def test_a_stream_goes_on_in_another_process_when_its_own_is_killed(
    redis_server: RedisServer, settings: Any, turn: Turn, user: Any, client: Client
) -> None:
    settings.AUTOMATE = {**settings.AUTOMATE, "WAKE_UPS": "redis", "REDIS_URL": redis_server.url}
    wake_ups.close()
    client.force_login(user)
    message, log, page = an_answer(turn), EventLog(turn.pk), Page()
    database = str(connection.settings_dict["NAME"])

    def write(number: int) -> None:
        log.append(TurnEvent.Kind.TEXT, message=message.pk, text=f"word{number} ")

    one, two = (SiteProcess(database, settings.AUTOMATE) for _ in range(2))
    with one, two:
        browser = Browser(one, client, turn)
        for number in (1, 2, 3):
            write(number)
            browser.wait_for(number)
        one.kill()
        seen = browser.wait_for_end()
        write(4)
        again = Browser(two, client, turn, last_event_id=seen[-1].id)
        again.wait_for(1)
        write(5)
        again.wait_for(2)
        Message.objects.filter(pk=message.pk).update(content="word1 word2 word3 word4 word5 ")
        finish(turn, log)
        rest = again.wait_for_end()
    wake_ups.close()
    for event in [*seen, *rest[:2]]:
        page.take(event)

    assert [event.id for event in [*seen, *rest[:2]]] == ["1", "2", "3", "4", "5"]
    assert page.tails[message.pk] == "word1 word2 word3 word4 word5 "
    assert rest[-1].data["status"] == "done"
