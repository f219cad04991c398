"""The logs of many turns, read by one statement."""

from typing import Any
from uuid import uuid4

import pytest

from chat.events import EventLog, NewEvent, events_after, events_of_many, insert
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


@pytest.mark.parametrize("again", [False, True])
def test_events_are_read_back_as_they_were_given(ask: Any, again: bool) -> None:
    turn = ask()
    data = {
        "text": 'a "é" \\ \t \u2028 %s 🙂 ',
        "many": [1, 2.5, None, True, [], {}],
        "deep": {"größe": {"": "[0]"}, "number": 2**53},
    }
    events = [NewEvent(turn.pk, 1_000 + at, TEXT, data | {"at": at}) for at in range(3)]
    insert(events[:1])

    insert(events[1:] if not again else events, again=again)

    rows = TurnEvent.objects.filter(turn=turn, seq__gte=1_000).order_by("seq")
    assert [(row.kind, row.data) for row in rows] == [(each.kind, each.data) for each in events]
    assert [line.data for line in events_after(turn.pk, 999)] == [each.data for each in events]
