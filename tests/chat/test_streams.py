"""The stream of a turn: whole, in order, resumable, and cheap to hold open."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from chat import streams
from chat.events import EventLog
from chat.models import Message, ToolCall, Turn, TurnEvent
from chat.wake_ups import wake_ups
from tests.servers.site import Site

from .reading_streams import Browser, Page, events_in, first_event, read, stream, words
from .rows import put

pytestmark = pytest.mark.django_db(transaction=True)

Kind = TurnEvent.Kind


@pytest.fixture
def person(client: Client, user: Any) -> Client:
    client.force_login(user)
    return client


@pytest.fixture
def turn(ask: Any) -> Turn:
    """A turn under way."""
    turn: Turn = ask("How many mugs?")
    return put(turn, Turn.Status.RUNNING)


def an_answer(turn: Turn, content: str = "") -> Message:
    return Message.objects.create(
        conversation=turn.conversation, turn=turn, role=Message.Role.ASSISTANT, content=content
    )


def finish(turn: Turn, log: EventLog, status: str = Turn.Status.DONE) -> None:
    put(turn, status)
    log.append(Kind.STATUS, status=status)


def test_a_turn_that_is_over_is_told_whole(person: Client, turn: Turn) -> None:
    message = an_answer(turn, "There are **7**.")
    call = ToolCall.objects.create(
        turn=turn, message=message, call_id="1", function_name="shop__stock", status="succeeded"
    )
    log = EventLog(turn.pk)
    log.append(Kind.MESSAGE, message=message.pk)
    log.append(Kind.CALL, call=call.pk)
    finish(turn, log)

    events = read(person, turn)

    assert [(event.kind, event.id) for event in events] == [
        ("message", "1"),
        ("call", "2"),
        ("status", "3"),
    ]
    assert "<strong>7</strong>" in events[0].data["html"]
    assert f'id="call-{call.pk}"' in events[1].data["html"]
    assert events[1].data["message"] == message.pk
    assert events[2].data["status"] == "done"
    assert 'name="submission"' in events[2].data["actions"]


def test_a_row_that_changed_often_is_told_once_as_it_is_now(person: Client, turn: Turn) -> None:
    message = an_answer(turn)
    call = ToolCall.objects.create(turn=turn, message=message, call_id="1", function_name="f")
    log = EventLog(turn.pk)
    for number in range(3):
        log.append(Kind.CALL, call=call.pk)
        log.append(Kind.PROGRESS, call=call.pk, progress=number, total=4, message="")
    ToolCall.objects.filter(pk=call.pk).update(status="succeeded")
    log.append(Kind.CALL, call=call.pk)
    finish(turn, log)

    events = read(person, turn)

    assert [event.kind for event in events] == ["progress", "call", "message", "status"]
    assert 'data-status="succeeded"' in events[1].data["html"]


def test_text_arrives_as_settled_blocks_and_a_tail(person: Client, turn: Turn) -> None:
    message = an_answer(turn)
    log = EventLog(turn.pk)
    log.append(Kind.TEXT, message=message.pk, text="# Stock\n\nThere are **7** blue")
    log.append(Kind.TEXT, message=message.pk, text=" mugs.")
    event = first_event(person, turn)

    assert event.kind == "text"
    assert event.id == "2"
    assert event.data == {
        "message": message.pk,
        "restart": True,
        "settled": "<h1>Stock</h1>\n",
        "tail": "There are **7** blue mugs.",
        "code": False,
    }


def test_code_under_way_is_told_to_be_code(person: Client, turn: Turn) -> None:
    message = an_answer(turn)
    EventLog(turn.pk).append(Kind.TEXT, message=message.pk, text="So:\n\n```py\nx = 1\n\ny = ")
    event = first_event(person, turn)

    assert event.data["code"] is True
    assert event.data["tail"] == "x = 1\n\ny = "


def test_hostile_text_under_way_is_never_markup(person: Client, turn: Turn) -> None:
    message = an_answer(turn)
    text = "<img src=x onerror=alert(1)>\n\n<script>alert(1)</script>\x1b[2J"
    EventLog(turn.pk).append(Kind.TEXT, message=message.pk, text=text)
    event = first_event(person, turn)

    assert "<img" not in event.data["settled"]
    assert event.data["tail"] == "<script>alert(1)</script>"


def test_a_turn_that_ended_without_a_word_in_the_log_ends_the_stream(
    person: Client, turn: Turn
) -> None:
    message = an_answer(turn, "The start of an")
    put(turn, Turn.Status.INTERRUPTED, notice="Restarted.")

    events = read(person, turn)

    assert [event.kind for event in events] == ["message", "status"]
    assert events[0].data["message"] == message.pk
    assert "Restarted." in events[1].data["footer"]
    assert reverse("chat:continue", args=[turn.pk]) in events[1].data["footer"]


def test_what_a_stream_brings_can_be_sent_back(user: Any, turn: Turn) -> None:
    log = EventLog(turn.pk)
    finish(turn, log, Turn.Status.FAILED)
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    browser.get(reverse("chat:index"))

    footer = read(browser, turn)[-1].data["footer"]

    token = footer.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    answer = browser.post(reverse("chat:continue", args=[turn.pk]), {"csrfmiddlewaretoken": token})
    assert answer.status_code == 302
    assert Turn.objects.count() == 2


def test_a_stream_is_neither_buffered_nor_stored_on_its_way(person: Client, turn: Turn) -> None:
    finish(turn, EventLog(turn.pk))
    answer = stream(person, turn)
    answer.close()

    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("last", ["", "x", "-1", "9" * 30, "²", "1\u0661"])
def test_a_last_event_id_that_is_none_begins_at_the_start(
    person: Client, turn: Turn, last: str
) -> None:
    finish(turn, EventLog(turn.pk))

    answer = person.get(reverse("chat:events", args=[turn.pk]), {"after": last})

    assert [event.id for event in events_in(answer.streaming_content)] == ["1"]


TEXT = (
    "# Stock\n\nThere are **7** blue mugs.\n\n- one\n- two\n\n```py\nfor mug in mugs:\n"
    "    print(mug)\n\nprint()\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nThat is *all*."
)


@pytest.mark.parametrize("cut", range(0, 30, 3))
def test_a_browser_that_comes_back_misses_nothing_and_gets_nothing_twice(
    person: Client, turn: Turn, cut: int
) -> None:
    message = an_answer(turn)
    log = EventLog(turn.pk)
    pieces = [TEXT[at : at + 5] for at in range(0, len(TEXT), 5)]
    page, last = Page(), ""

    for piece in pieces[:cut]:
        log.append(Kind.TEXT, message=message.pk, text=piece)
    if cut:
        event = first_event(person, turn)
        page.take(event)
        last = event.id
    for piece in pieces[cut:]:
        log.append(Kind.TEXT, message=message.pk, text=piece)
    headers = {"Last-Event-ID": last} if last else {}
    page.take(first_event(person, turn, **headers))

    assert page.tails[message.pk] == "That is *all*."
    assert words(page.bodies[message.pk]) == (
        "Stock There are 7 blue mugs. one two pythonfor mug in mugs: print(mug) print() a b 1 2"
    )


def test_a_browser_that_was_away_for_the_end_gets_the_whole_message(
    person: Client, turn: Turn
) -> None:
    message = an_answer(turn, TEXT)
    log = EventLog(turn.pk)
    for at in range(0, len(TEXT), 20):
        log.append(Kind.TEXT, message=message.pk, text=TEXT[at : at + 20])
    last = TurnEvent.objects.filter(turn=turn, seq=3).get().seq
    log.append(Kind.MESSAGE, message=message.pk)
    finish(turn, log)
    log.fold_text()

    events = read(person, turn, **{"Last-Event-ID": str(last)})

    assert [event.kind for event in events] == ["message", "status"]
    assert "<em>all</em>" in events[0].data["html"]


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


def test_under_asgi_every_event_comes_when_it_is_written(
    site: Site, person: Client, turn: Turn
) -> None:
    message = an_answer(turn)
    log = EventLog(turn.pk)
    browser = Browser(site, person, turn)
    page = Page()
    written = []

    for number in range(1, 6):
        written.append(time.monotonic())
        log.append(Kind.TEXT, message=message.pk, text=f"word{number} ")
        page.take(browser.wait_for(number)[-1])
    finish(turn, log)
    browser.wait_for_end()

    delays = [came - sent for sent, came in zip(written, browser.times, strict=False)]
    assert page.tails[message.pk] == "word1 word2 word3 word4 word5 "
    # A poll would take a second; the machine may be busy.
    assert sorted(delays)[2] < 0.25


def test_under_wsgi_every_event_comes_when_it_is_written(
    live_server: Any, person: Client, turn: Turn
) -> None:
    message = an_answer(turn)
    log = EventLog(turn.pk)
    browser = Browser(live_server, person, turn)

    for number in range(1, 4):
        log.append(Kind.TEXT, message=message.pk, text=f"word{number} ")
        browser.wait_for(number)
    finish(turn, log)

    assert [event.kind for event in browser.wait_for_end()] == [*["text"] * 3, "message", "status"]


def test_a_silent_stream_under_asgi_says_that_it_is_still_there(
    site: Site, person: Client, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.05)
    message = an_answer(turn)
    log = EventLog(turn.pk)
    browser = Browser(site, person, turn)

    browser.wait_for_comments(2)
    log.append(Kind.TEXT, message=message.pk, text="Hello")
    browser.wait_for(1)
    browser.wait_for_comments(browser.comments + 2)
    finish(turn, log)

    assert [event.kind for event in browser.wait_for_end()] == ["text", "message", "status"]


def test_a_silent_stream_under_wsgi_says_so_too(
    person: Client, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.01)
    answer = stream(person, turn)
    pieces = iter(answer.streaming_content)

    assert [next(pieces), next(pieces)] == [b"retry: 1000\n\n", b": still here\n\n"]
    answer.close()


def test_two_tabs_see_the_same(site: Site, person: Client, turn: Turn) -> None:
    message = an_answer(turn)
    log = EventLog(turn.pk)
    browsers = [Browser(site, person, turn) for _ in range(2)]

    log.append(Kind.TEXT, message=message.pk, text="Hello")
    finish(turn, log)
    first, second = (browser.wait_for_end() for browser in browsers)

    assert first[0].data == second[0].data
    assert first[-1].data["status"] == second[-1].data["status"] == "done"


def test_an_open_stream_under_asgi_holds_no_thread(site: Site, person: Client, ask: Any) -> None:
    turn = ask()
    message = an_answer(turn)
    log = EventLog(turn.pk)
    log.append(Kind.TEXT, message=message.pk, text="Hello")
    before = threading.active_count()

    browsers = [Browser(site, person, turn) for _ in range(20)]
    for browser in browsers:
        browser.wait_for(1)
    of_the_site = threading.active_count() - before - len(browsers)
    finish(turn, log)
    for browser in browsers:
        browser.wait_for_end()

    # The four that read rows for all streams, and one that may just be ending.
    assert of_the_site <= 5


def test_a_closed_tab_leaves_no_listener_behind(site: Site, person: Client, turn: Turn) -> None:
    message = an_answer(turn)
    log = EventLog(turn.pk)
    log.append(Kind.TEXT, message=message.pk, text="Hello")
    browser = Browser(site, person, turn)
    browser.wait_for(1)
    assert wake_ups.is_awaited(turn.pk)

    browser.leave()

    end = time.monotonic() + 10
    while wake_ups.is_awaited(turn.pk):
        assert time.monotonic() < end, "the stream never ended"
        threading.Event().wait(0.005)
    connection.close()


def test_a_conversation_that_is_deleted_ends_its_streams(
    site: Site, person: Client, turn: Turn
) -> None:
    browser = Browser(site, person, turn)
    turn.conversation.delete()
    wake_ups.wake(turn.pk)

    assert [event.kind for event in browser.wait_for_end()] == ["gone"]
