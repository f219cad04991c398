"""The turns of a conversation as a tree: what is shown, what the model is sent, who may move it."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from automate.conf import conf
from chat import pages
from chat.branching import edit_message, regenerate_turn, show_turn
from chat.context import GO_ON, model_messages
from chat.engine import run_turn
from chat.models import Conversation, Message, Summary, ToolCall, Turn
from chat.submission import Said, TurnInProgress, begin_turn, continue_turn, send_message
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import Request, calls, text

from .rows import put
from .strict_api import problems_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def said(user: Any, executor: Any) -> Callable[..., Turn]:
    """A turn that is over: `said("Question", "Answer", after=turn)`."""

    def say(question: str, answer: str = "", after: Turn | None = None, **fields: Any) -> Turn:
        if after is None:
            turn = send_message(user, None, question, uuid4())
        else:
            turn = begin_turn(after.conversation, uuid4(), after, Said(question))
        return answered(turn, answer or f"Answer to {question}", **fields)

    return say


def answered(turn: Turn, answer: str, **fields: Any) -> Turn:
    Message.objects.create(
        conversation=turn.conversation, turn=turn, role=Message.Role.ASSISTANT, content=answer
    )
    return put(turn, Turn.Status.DONE, **fields)


def fresh(turn: Turn) -> Turn:
    """The turn and its conversation as the rows stand."""
    return Turn.objects.select_related("conversation").get(pk=turn.pk)


def shown(turn: Turn) -> list[str]:
    """What its conversation shows, message by message."""
    conversation = Conversation.objects.get(pk=turn.conversation_id)
    return [
        message.content for each in pages.turns(conversation) for message in each.messages.all()
    ]


def sent(turn: Turn) -> list[str]:
    """What the model would be sent for this turn, without the system prompt."""
    return [entry["content"] for entry in model_messages(fresh(turn), conf())[1:]]


def places(turn: Turn) -> Any:
    conversation = Conversation.objects.get(pk=turn.conversation_id)
    return pages.branch(conversation).places[turn.pk]


def test_another_answer_stands_in_the_place_of_the_first(said: Any) -> None:
    first = said("One")
    second = said("Two", after=first)

    again = regenerate_turn(fresh(second), uuid4())

    assert shown(first) == ["One", "Answer to One", "Two"]
    assert sent(again) == ["One", "Answer to One", "Two"]
    assert again.parent == first
    assert (places(again).answer.number, places(again).answer.count) == (2, 2)
    assert places(again).message is None
    assert places(first).answer is None


def test_an_edited_message_begins_a_branch_and_the_old_one_stays(said: Any) -> None:
    first = said("One")
    last = said("Three", after=said("Two", after=first))

    edited = answered(edit_message(fresh(first), "Other", uuid4()), "Answer to Other")

    assert shown(first) == ["Other", "Answer to Other"]
    assert (places(edited).message.number, places(edited).message.count) == (2, 2)
    assert places(edited).answer is None
    show_turn(fresh(first))
    assert shown(first)[-1] == "Answer to Three"
    assert Conversation.objects.get().head == last


def test_stepping_back_comes_to_what_was_shown_last_under_it(said: Any) -> None:
    first = said("One")
    one = said("Two", after=first)
    other = answered(regenerate_turn(fresh(one), uuid4()), "Again")
    edited = answered(edit_message(fresh(first), "Other", uuid4()), "Answer to Other")

    show_turn(fresh(first))
    assert shown(first)[-1] == "Again"
    show_turn(fresh(one))
    show_turn(fresh(edited))
    show_turn(Turn.objects.get(pk=places(edited).message.previous))

    assert shown(first)[-1] == "Answer to Two"
    assert places(one).answer.next == other.pk


def test_regenerating_again_and_again_is_one_row_of_answers(said: Any) -> None:
    turn = said("One")
    for number in range(3):
        turn = answered(regenerate_turn(fresh(turn), uuid4()), f"Answer {number}")

    place = places(turn)

    assert (place.message, place.answer.number, place.answer.count) == (None, 4, 4)
    assert place.answer.next is None
    assert Message.objects.filter(role="user", content="One").count() == 4


def test_a_message_sent_unchanged_is_another_answer(said: Any) -> None:
    turn = said("One")

    again = edit_message(fresh(turn), " One ", uuid4())

    assert again.repeats == turn
    assert places(again).message is None


def test_an_edit_is_held_to_the_rules_of_sending(said: Any) -> None:
    turn = said("One")

    with pytest.raises(ValidationError):
        edit_message(fresh(turn), " \x00", uuid4())

    assert Turn.objects.get() == turn


def test_a_message_follows_what_its_writer_saw(said: Any, user: Any) -> None:
    first = said("One")
    said("Two", after=first)

    late = send_message(user, fresh(first).conversation, "From another tab", uuid4(), parent=first)

    assert shown(late) == ["One", "Answer to One", "From another tab"]
    assert sent(late) == ["One", "Answer to One", "From another tab"]
    assert places(late).message.count == 2


def test_without_a_word_on_it_a_message_follows_the_branch_that_is_shown(
    said: Any, user: Any
) -> None:
    first = said("One")
    said("Two", after=first)
    stale = fresh(first).conversation
    answered(edit_message(fresh(first), "Other", uuid4()), "Answer to Other")

    last = send_message(user, stale, "Next", uuid4())

    assert shown(last) == ["Other", "Answer to Other", "Next"]


def test_an_unfinished_turn_blocks_every_other_beginning_with_a_sentence(said: Any) -> None:
    first = said("One")
    other = answered(regenerate_turn(fresh(first), uuid4()), "Again")
    waiting = put(begin_turn(fresh(other).conversation, uuid4(), other, Said("Two")), "waiting")

    for attempt in (
        lambda: regenerate_turn(fresh(first), uuid4()),
        lambda: regenerate_turn(fresh(waiting), uuid4()),
        lambda: edit_message(fresh(first), "Other", uuid4()),
        lambda: show_turn(fresh(first)),
    ):
        with pytest.raises(TurnInProgress, match="waits for your decision"):
            attempt()
    assert Conversation.objects.get().head == waiting


def test_what_is_sent_twice_is_one_turn(said: Any) -> None:
    turn, submission = fresh(said("One")), uuid4()

    first, second = (regenerate_turn(turn, submission) for _ in range(2))
    answered(first, "Again")
    third = regenerate_turn(turn, submission)

    assert first == second == third
    assert Turn.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_tabs_that_regenerate_at_once_one_wins_and_the_other_is_told(said: Any) -> None:
    turn = said("One")
    ready, outcomes = threading.Barrier(2), []

    def tab() -> None:
        mine = fresh(turn)
        ready.wait(10)
        try:
            outcomes.append(regenerate_turn(mine, uuid4()))
        except TurnInProgress as refusal:
            outcomes.append(refusal)
        finally:
            connection.close()

    tabs = [threading.Thread(target=tab) for _ in range(2)]
    for each in tabs:
        each.start()
    for each in tabs:
        each.join(20)

    assert sorted(type(each).__name__ for each in outcomes) == ["Turn", "TurnInProgress"]
    [winner] = [each for each in outcomes if isinstance(each, Turn)]
    assert Conversation.objects.get().head == winner
    assert Turn.objects.count() == 2


def test_a_step_that_meets_a_new_turn_leaves_that_in_sight(said: Any) -> None:
    first = said("One")
    answered(regenerate_turn(fresh(first), uuid4()), "Again")
    stale = fresh(first)
    begun = begin_turn(fresh(first).conversation, uuid4(), None, Said("Meanwhile"))
    put(begun, "done")

    with pytest.raises(TurnInProgress):
        show_turn(stale)

    assert Conversation.objects.get().head == begun


def test_a_summary_of_another_branch_is_not_shown_to_the_model(said: Any) -> None:
    first = said("One")
    second = said("Two", after=first)
    summaries = [
        Summary.objects.create(
            conversation=turn.conversation, last_message=turn.messages.last(), text=words
        )
        for turn, words in ((first, "Of one"), (second, "Of one and two"))
    ]
    Conversation.objects.update(summary=summaries[-1])
    third = said("Three", after=second)

    again = regenerate_turn(fresh(second), uuid4())

    assert "Of one and two" in sent(third)[0]
    assert "Of one\n" in sent(again)[0]
    assert "and two" not in sent(again)[0]
    assert sent(again)[0].endswith("Two")
    answered(again, "Again")
    assert "Of one" not in sent(edit_message(fresh(first), "Other", uuid4()))[0]


def test_a_summary_that_a_branch_makes_leaves_the_other_as_it_was(model: Any, said: Any) -> None:
    def answer(request: Request) -> Any:
        is_summary = "Summarise the beginning" in request.messages[0]["content"]
        return text("They spoke." if is_summary else "word " * 90)

    server = model(answer, CONTEXT_TOKENS=100)
    first = said("One", "word " * 90)
    second = said("Two", "word " * 90, after=first)
    other = said("Other", "word " * 90, after=first)

    run_turn(begin_turn(fresh(other).conversation, uuid4(), other, Said("Next")).pk)
    told = Summary.objects.get()
    show_turn(fresh(second))
    run_turn(begin_turn(fresh(second).conversation, uuid4(), second, Said("Last")).pk)

    assert told.last_message.turn in (first, other)
    assert not any("Other" in str(message) for message in server.requests[-1].messages)
    assert "Two" in server.requests[-1].messages[1]["content"] or Summary.objects.count() == 2


def test_a_turn_at_a_limit_is_taken_up_with_fresh_limits(model: Any, shop: Any, ask: Any) -> None:
    shop(Offer("stock", handler=lambda arguments: {"stock": 7}))
    server = model(
        [
            calls(("shop__stock", {"sku": "A"})),
            text("So far 7."),
            calls(("shop__stock", {"sku": "B"})),
            text("And 7 more."),
        ],
        MAX_ROUNDS=2,
    )
    turn = ask("Count")
    run_turn(turn.pk)
    turn = fresh(turn)
    assert (turn.status, turn.limit, turn.may_go_on) == ("done", "rounds", True)

    further = continue_turn(turn, uuid4())
    run_turn(further.pk)

    further = fresh(further)
    assert [call.status for call in ToolCall.objects.all()] == ["succeeded", "succeeded"]
    assert server.requests[2].messages[-1] == {"role": "user", "content": GO_ON}
    assert all(problems_of(request.messages) == [] for request in server.requests)
    assert further.parent == turn
    assert shown(turn) == ["Count", "", "So far 7.", "", "And 7 more."]
    assert GO_ON in sent(
        answered(begin_turn(further.conversation, uuid4(), further, Said("?")), "!")
    )


def test_an_answer_cut_at_the_models_length_can_be_continued(model: Any, ask: Any) -> None:
    model([text("Half an", finish="length"), text(" answer.")])
    turn = ask("Write")
    run_turn(turn.pk)
    assert fresh(turn).limit == Turn.Limit.LENGTH

    run_turn(continue_turn(fresh(turn), uuid4()).pk)

    assert shown(turn) == ["Write", "Half an", " answer."]


def test_code_that_was_cut_goes_on_as_code(model: Any, ask: Any) -> None:
    server = model(
        [
            text("So:\n\n```python\ndef left():\n", finish="length"),
            text("    return 7", finish="length"),
            text("  # mugs\n```\n\nThat is all."),
        ]
    )
    turn = ask("Write")
    run_turn(turn.pk)
    for _ in range(2):
        turn = continue_turn(fresh(turn), uuid4())
        run_turn(turn.pk)

    assert shown(turn)[2:] == [
        "```python\n    return 7",
        "```python\n  # mugs\n```\n\nThat is all.",
    ]
    assert server.requests[2].messages[-2]["content"].startswith("```python\n")


def test_another_answer_is_no_word_on_a_call_of_unknown_outcome(
    model: Any, shop: Any, ask: Any
) -> None:
    shop(Offer("order", handler=lambda arguments: "ordered"))
    order = calls(("shop__order", {"sku": "MUG"}))
    model([order, text("I ask first."), order, text("Ordered.")])
    turn = answered(
        ask("Order a mug"),
        "",
    )
    ToolCall.objects.create(
        turn=turn,
        message=turn.messages.last(),
        call_id="1",
        function_name="shop__order",
        arguments={"sku": "MUG"},
        status=ToolCall.Status.UNKNOWN,
    )

    again = regenerate_turn(fresh(turn), uuid4())
    run_turn(again.pk)
    edited = edit_message(fresh(again), "Do order a mug", uuid4())
    run_turn(edited.pk)

    assert again.tool_calls.get().status == ToolCall.Status.REFUSED
    assert edited.tool_calls.get().status == ToolCall.Status.SUCCEEDED


def test_a_long_tree_is_walked_in_a_fixed_number_of_queries(
    said: Any, django_assert_max_num_queries: Any
) -> None:
    turn = said("0")
    for number in range(1, 12):
        turn = said(str(number), after=turn)
        answered(regenerate_turn(fresh(turn), uuid4()), "Again")
        show_turn(fresh(turn))
    conversation = Conversation.objects.get()

    with django_assert_max_num_queries(4):
        assert len(pages.branch(conversation).turns) == 12
    with django_assert_max_num_queries(5):
        model_messages(fresh(turn), conf())


def test_a_deleted_conversation_takes_its_whole_tree_with_it(said: Any) -> None:
    first = said("One")
    last = said("Two", after=first)
    regenerate_turn(fresh(last), uuid4())

    Conversation.objects.get().delete()

    assert not Turn.objects.exists()
    assert not Message.objects.exists()
