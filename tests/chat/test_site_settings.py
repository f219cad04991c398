"""The chat on sites whose own settings differ from ours."""

import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from chat.executors.thread import ThreadExecutor
from chat.models import Turn
from tests.servers.scripted_replies import silence, text

from .test_stopping import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def person(user: Any, client: Client) -> Client:
    client.force_login(user)
    return client


@pytest.fixture
def atomic_requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every request is one transaction, and a real executor runs the turns."""
    pool = ThreadExecutor()
    for user in ("queueing", "views.conversations", "streams"):
        monkeypatch.setattr(f"chat.{user}.executor", lambda: pool)
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    yield
    pool.stop()


def sent(person: Client) -> Turn:
    person.post(reverse("chat:send"), {"text": "Hello", "submission": str(uuid4())})
    return Turn.objects.get()


@pytest.mark.usefixtures("atomic_requests")
def test_a_turn_begins_when_its_request_is_committed_and_streams(
    model: Any, person: Client
) -> None:
    model(text("Good morning."))

    turn = sent(person)
    stream = person.get(reverse("chat:events", args=[turn.pk]))

    assert b"Good morning." in b"".join(stream.streaming_content)  # type: ignore[attr-defined]
    turn.refresh_from_db()
    assert turn.status == Turn.Status.DONE


@pytest.mark.usefixtures("atomic_requests")
def test_stop_reaches_a_turn_from_within_a_transaction(model: Any, person: Client) -> None:
    release = threading.Event()
    server = model(silence(release))
    turn = sent(person)
    until(lambda: server.requests)

    person.post(reverse("chat:stop", args=[turn.pk]))

    until(lambda: Turn.objects.filter(status=Turn.Status.CANCELLED).exists())
    release.set()


def test_pages_are_shown_where_times_have_no_zone(
    settings: Any, person: Client, model: Any, ask: Any
) -> None:
    settings.USE_TZ = False
    turn = ask()

    shown = person.get(reverse("chat:conversation", args=[turn.conversation_id]))

    assert shown.status_code == 200
    assert b"Today" in shown.content
