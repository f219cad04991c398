"""The logs of many turns, read by one statement."""

from typing import Any
from uuid import uuid4

import pytest

from chat.events import EventLog, events_after, events_of_many
from chat.models import TurnEvent

pytestmark = pytest.mark.django_db

TEXT = TurnEvent.Kind.TEXT


def test_each_turn_gets_what_is_new_to_it_in_order_by_its_place(ask: Any) -> None:
    long, short, silent = ask("One"), ask("Two"), ask("Three")
    first = events_after(long.pk, 0)[-1].seq if events_after(long.pk, 0) else 0
    late = EventLog(long.pk, last=first + 1_000)  # as a process does that took the turn over
    late.append_all([(TEXT, {"message": 1, "text": text}) for text in "cd"])
    EventLog(long.pk, last=first).append_all([(TEXT, {"message": 1, "text": t}) for t in "ab"])
    EventLog(short.pk).append(TEXT, message=2, text='{"%s": "é"}')
    seen = events_after(silent.pk, 0)[-1].seq if events_after(silent.pk, 0) else 0

    found = events_of_many(
        [(silent.pk, seen), (long.pk, first), (long.pk, first + 1), (short.pk, 0), (uuid4(), 0)]
    )

    assert [line.data["text"] for line in found[1]] == list("abcd")
    assert [line.data["text"] for line in found[2]] == list("bcd")
    assert found[3] == events_after(short.pk, 0)
    assert found[3][-1].data == {"message": 2, "text": '{"%s": "é"}'}
    assert set(found) == {1, 2, 3}
