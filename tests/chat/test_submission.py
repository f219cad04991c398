"""Sending, trying again and stopping."""

from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError

from chat.models import Conversation, Message, Turn
from chat.submission import TurnInProgress, continue_turn, send_message, stop_turn

from .rows import put

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_first_message_opens_a_conversation_named_after_it(user: Any, executor: Any) -> None:
    turn = send_message(user, None, "How many\n blue mugs are in stock?", uuid4())

    assert turn.conversation.title == "How many blue mugs are in stock?"
    assert turn.messages.get().content == "How many\n blue mugs are in stock?"
    assert executor.turn_ids == [turn.pk]


def test_a_long_first_message_gives_a_short_title(user: Any, executor: Any) -> None:
    turn = send_message(user, None, "word " * 100, uuid4())

    assert len(turn.conversation.title) <= 60
    assert turn.conversation.title.endswith("word…")


def test_the_same_submission_twice_is_one_message_and_one_turn(user: Any, executor: Any) -> None:
    submission = uuid4()

    first = send_message(user, None, "Hello", submission)
    second = send_message(user, None, "Hello", submission)

    assert first.pk == second.pk
    assert (Message.objects.count(), Conversation.objects.count()) == (1, 1)
    assert executor.turn_ids == [first.pk]


@pytest.mark.parametrize("text", ["", "   \n ", "\x00"])
def test_an_empty_message_is_refused_and_nothing_is_stored(
    user: Any, executor: Any, text: str
) -> None:
    with pytest.raises(ValidationError, match="Write a message first"):
        send_message(user, None, text, uuid4())

    assert not Conversation.objects.exists()


def test_a_message_of_a_megabyte_is_refused_with_both_numbers(user: Any, executor: Any) -> None:
    with pytest.raises(ValidationError, match=r"1,000,000 characters; the limit is 100,000"):
        send_message(user, None, "x" * 1_000_000, uuid4())

    assert not Conversation.objects.exists()


def test_characters_that_no_database_stores_are_taken_out(user: Any, executor: Any) -> None:
    turn = send_message(user, None, "a\x00b\ud800c", uuid4())

    assert turn.messages.get().content == "ab?c"


def test_a_second_message_waits_until_the_answer_is_there(user: Any, executor: Any) -> None:
    turn = send_message(user, None, "One", uuid4())

    with pytest.raises(TurnInProgress):
        send_message(user, turn.conversation, "Two", uuid4())

    assert Message.objects.count() == 1


def test_trying_again_makes_a_turn_without_a_new_message(user: Any, executor: Any) -> None:
    turn = send_message(user, None, "One", uuid4())
    put(turn, Turn.Status.FAILED)

    again = continue_turn(turn, uuid4())

    assert again.pk != turn.pk
    assert Message.objects.count() == 1
    assert executor.turn_ids == [turn.pk, again.pk]


def test_stopping_a_turn_in_line_ends_it_with_an_event(user: Any, executor: Any) -> None:
    turn = send_message(user, None, "One", uuid4())

    stop_turn(turn)

    turn.refresh_from_db()
    assert turn.status == Turn.Status.CANCELLED
    assert [event.data for event in turn.events.all()] == [{"status": "cancelled"}]


def test_stopping_a_turn_that_is_over_changes_nothing(user: Any, executor: Any) -> None:
    turn = send_message(user, None, "One", uuid4())
    put(turn, Turn.Status.DONE)

    stop_turn(turn)

    turn.refresh_from_db()
    assert (turn.status, turn.cancel_requested) == (Turn.Status.DONE, False)
