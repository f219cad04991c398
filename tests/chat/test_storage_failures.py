"""The database goes away, or its disk is full: nothing half stored, and the next turn works."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, connections
from django.db.backends.signals import connection_created
from django.test import Client
from django.urls import reverse

import config.asgi  # noqa: F401  # sets up the logging anew, which must not happen in a test
from chat.engine import run_turn
from chat.models import Conversation, Message, Turn
from chat.recovery import recover_abandoned
from chat.submission import continue_turn
from tests.servers.mcp_sdk import Offer
from tests.servers.proxy import Proxy
from tests.servers.scripted_replies import calls, silence, text
from tests.servers.site import Site

from .reading_streams import Browser
from .test_disturbances import let_lease_run_out
from .test_stopping import until

pytestmark = pytest.mark.django_db(transaction=True)

AWAY_SECONDS = 10.0
LONG = "mug " * 20_000


class Disk:
    """The disk of an SQLite file: full, or not."""

    def fill(self) -> None:
        """Leave no page to any connection but those that the file has."""
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")  # earlier tests left free pages
        connections.close_all()
        connection_created.connect(self._limit)

    def make_room(self) -> None:
        connection_created.disconnect(self._limit)
        connections.close_all()

    def _limit(self, connection: Any, **kwargs: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA max_page_count = 1")  # it is then what the file has


@pytest.fixture
def disk() -> Iterator[Disk]:
    this = Disk()
    yield this
    this.make_room()


def stored() -> tuple[int, int, int]:
    return Conversation.objects.count(), Message.objects.count(), Turn.objects.count()


if connection.vendor == "sqlite":

    def test_a_message_that_finds_no_room_is_refused_in_words_and_not_half_stored(
        user: Any, executor: Any, client: Client, disk: Disk
    ) -> None:
        client.force_login(user)
        message = {"text": LONG, "submission": str(uuid4())}
        disk.fill()

        refused = client.post(reverse("chat:send"), message)

        assert refused.status_code == 503
        assert "could not store your message" in refused.content.decode()
        assert stored() == (0, 0, 0)
        disk.make_room()
        assert client.post(reverse("chat:send"), message).status_code == 302
        assert stored() == (1, 1, 1)

    def test_an_answer_that_finds_no_room_is_given_when_there_is_some(
        model: Any, ask: Any, disk: Disk
    ) -> None:
        model(text(LONG, pieces=20))
        turn = ask()
        disk.fill()
        with suppress(OperationalError):  # its end may find room, or not
            run_turn(turn.pk)
        answers = turn.messages.filter(role="assistant", interrupted=False)
        assert not answers.exclude(content="").exists()
        turn.refresh_from_db()
        assert turn.status == Turn.Status.RUNNING or "could not store the answer" in turn.notice

        disk.make_room()
        let_lease_run_out(Turn.objects.filter(pk=turn.pk))
        if not recover_abandoned():
            turn = continue_turn(turn, uuid4())
        run_turn(turn.pk)

        turn.refresh_from_db()
        assert turn.status == Turn.Status.DONE
        answers = turn.messages.filter(role="assistant", interrupted=False)
        assert [answer.content for answer in answers] == [LONG]


if connection.vendor in ("postgresql", "mysql"):

    def test_a_database_that_is_away_for_ten_seconds_ends_no_turn_and_no_stream(
        model: Any, shop: Any, user: Any, ask: Any, started: Any, client: Client
    ) -> None:
        peer = shop(Offer("order"))
        permits = threading.Semaphore(0)
        words = text("one two three four five six").paced(permits)
        model([calls(("shop__order", {})), words])
        client.force_login(user)
        turn = ask()
        settings = connection.settings_dict
        real = settings["HOST"], settings["PORT"]
        with Proxy(real[0], int(real[1] or 3306)) as proxy, Site() as site:
            try:
                _connect_to("127.0.0.1", proxy.port)
                browser = Browser(site, client, turn, timeout=60)
                thread = started(turn)
                permits.release(3)
                until(lambda: any(event.kind == "text" for event in browser.events))

                proxy.go_away()
                permits.release(2)
                threading.Event().wait(AWAY_SECONDS)
                proxy.come_back()
                permits.release(50)
                thread.join(30)
                events = browser.wait_for_end()
            finally:
                _connect_to(*real)

        turn.refresh_from_db()
        assert (turn.status, turn.attempt) == (Turn.Status.DONE, 1)
        assert turn.messages.last().content == "one two three four five six"
        assert len(peer.calls("order")) == 1
        assert events[-1].data["status"] == "done"

    def test_a_turn_holds_no_connection_while_its_model_is_silent(model: Any, ask: Any) -> None:
        release = threading.Event()
        server = model([silence(release, text("At last."))])
        turn, held = ask(), []

        def run() -> None:
            held.append(connections["default"])
            run_turn(turn.pk)
            connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        until(lambda: server.requests)
        is_held = held[0].connection is not None
        release.set()
        thread.join(10)

        turn.refresh_from_db()
        assert not is_held
        assert turn.status == Turn.Status.DONE


def _connect_to(host: str, port: Any) -> None:
    """Have every connection that is made from now on go there, in every thread."""
    connections.close_all()
    connections.settings["default"] |= {"HOST": host, "PORT": port}
