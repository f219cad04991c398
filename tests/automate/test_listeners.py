"""Listeners that sync a server when it says that its tools changed."""

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from automate import listening
from automate.listening import Listeners
from automate.models import MCPServer
from automate.sync import sync_server
from automate_llm.cancellation import Cancellation
from automate_llm.http import close_pools
from tests.servers.mcp_sdk import Offer

from .making import add_server
from .test_freshness import make_due

pytestmark = pytest.mark.django_db(transaction=True)


class Running:
    """Listeners in a thread, and what they report."""

    def __init__(self) -> None:
        self.reports: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.cancellation = Cancellation()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Running":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.cancellation.cancel()
        self._thread.join(10)
        close_pools()
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            Listeners(self.reports.put).run(self.cancellation)
        finally:
            connections.close_all()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(listening, "SETTLE_SECONDS", 0.05)
    monkeypatch.setattr(listening, "LOOK_SECONDS", 0.1)


def no_threads() -> bool:
    return not [each for each in threading.enumerate() if each.name.startswith("automate listens")]


def until(condition: Callable[[], object]) -> None:
    pause = threading.Event()
    for _ in range(500):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it never came true")


def report_after(peer: Any, running: Running) -> Any:
    """Announce until it is heard: a request that was seen is not yet a subscription."""
    for _ in range(100):
        peer.announce_change()
        try:
            return running.reports.get(timeout=0.1)
        except queue.Empty:
            continue
    raise AssertionError("nothing was reported")


def test_a_server_that_says_that_it_changed_is_synced(sdk_server):
    peer = sdk_server(Offer("one"))
    server = add_server(url=peer.url)
    sync_server(server)
    peer.tools.append(Offer("two"))
    with Running() as running:
        report = report_after(peer, running)

    assert report.slug == "shop"
    assert report.added == ["two"]
    assert sorted(server.tools.values_list("name", flat=True)) == ["one", "two"]
    assert no_threads()


def test_a_due_server_is_synced_though_it_announces_nothing(server, offering):
    offering("search")
    make_due(server)
    with Running() as running:
        report = running.reports.get(timeout=5)

    assert report.added == ["search"]


def test_a_server_that_never_stops_announcing_keeps_nobody_waiting(server, offering):
    offering("search")
    listeners = Listeners(lambda report: None)
    announcing = threading.Event()

    def announce() -> None:
        while not announcing.is_set():
            listeners._changed.put("shop")

    flood = threading.Thread(target=announce)
    flood.start()
    try:
        heard = listeners._wait()
    finally:
        announcing.set()
        flood.join()

    assert heard == {"shop"}


def test_a_server_that_is_switched_off_is_not_listened_to_any_more(sdk_server):
    peer = sdk_server(Offer("one"))
    server = add_server(url=peer.url)
    sync_server(server)
    with Running():
        until(lambda: peer.seen("subscriptions/listen"))
        MCPServer.objects.update(enabled=False)
        until(no_threads)

    assert len(peer.seen("subscriptions/listen")) == 1


def test_a_server_that_refuses_is_asked_once(sdk_server, caplog):
    peer = sdk_server(Offer("one"))
    server = add_server(url=peer.url)
    sync_server(server)
    peer.refuse_with = 405
    with Running():
        until(lambda: "is not listened to" in caplog.text)

    assert len(peer.seen("subscriptions/listen")) == 1
