"""Other answers, edited messages and steps between them, on pages and without JavaScript."""

import re
import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from automate.models import MCPServer, MCPTool
from chat import pages
from chat.models import Conversation, Message, ToolCall, Turn
from chat.submission import continue_turn

from .rows import put
from .test_branches import answered, fresh, shown
from .test_views import end, person, stranger

__all__ = ["person", "stranger"]

pytestmark = pytest.mark.django_db

NOBODYS = "00000000-0000-4000-8000-000000000000"
HTMX = {"HX-Request": "true"}


def address(name: str, turn: Turn) -> str:
    return reverse(f"chat:{name}", args=[turn.pk])


def page_of(browser: Client, turn: Turn) -> str:
    path = reverse("chat:conversation", args=[turn.conversation_id])
    return browser.get(path).content.decode()


@pytest.fixture
def two(ask: Any, person: Client) -> tuple[Turn, Turn]:
    """A turn, and another answer to its message, which is shown."""
    first = end(ask("One"), answer="First")
    person.post(address("regenerate", first))
    return first, answered(Turn.objects.exclude(pk=first.pk).get(), "Second")


def test_another_persons_turn_does_not_exist(stranger: Client, two: Any) -> None:
    for name in ("regenerate", "edit", "continue", "show"):
        assert stranger.post(address(name, two[0]), {"text": "Mine"}).status_code == 404
    for name in ("edit", "text", "earlier"):
        assert stranger.get(address(name, two[0])).status_code == 404
    assert Turn.objects.count() == 2


@pytest.mark.parametrize("name", ["regenerate", "edit"])
def test_an_answer_that_is_over_before_it_is_shown_leaves_nothing_to_stop(
    person: Client, ask: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    first = end(ask("One"), answer="First")
    one_turn = pages.one_turn

    def late(turn: Turn) -> Any:
        end(Turn.objects.get(pk=turn.pk), answer="Quick")
        return one_turn(turn)

    monkeypatch.setattr(pages, "one_turn", late)

    part = person.post(address(name, first), {"text": "Two"}, headers=HTMX).content.decode()

    assert "Quick" in part
    assert "data-stream" not in part
    assert "data-stop" not in part
    assert "data-send" in part


def test_nothing_is_changed_by_following_a_link(person: Client, two: Any) -> None:
    for name in ("regenerate", "continue", "show"):
        assert person.get(address(name, two[0])).status_code == 405
    assert Conversation.objects.get().head == two[1]


def test_a_step_shows_the_other_answer_and_the_place_of_each(person: Client, two: Any) -> None:
    first, second = two
    assert "2 / 2" in page_of(person, first)

    answer = person.post(address("show", first))

    assert answer.headers["Location"] == reverse("chat:conversation", args=[first.conversation_id])
    page = page_of(person, first)
    assert "First" in page and "Second" not in page and "1 / 2" in page
    assert address("show", second) in page


def test_a_fragments_step_brings_the_branch_from_there_on(
    person: Client, two: Any, ask: Any
) -> None:
    first, second = two
    later = end(ask("Later", first.conversation))
    person.post(address("show", first))

    sent = {"instead": str(first.pk)}
    html = person.post(address("show", second), sent, headers=HTMX).content.decode()

    assert re.findall(r'<section class="turn" id="turn-([^"]+)"', html) == [
        str(second.pk),
        str(later.pk),
    ]
    assert f'name="parent" value="{later.pk}"' in html


@pytest.mark.parametrize("instead", ["", "rubbish", NOBODYS])
def test_a_fragments_step_from_an_unknown_place_loads_the_page(
    person: Client, two: Any, instead: str
) -> None:
    answer = person.post(address("show", two[0]), {"instead": instead}, headers=HTMX)

    assert "HX-Redirect" in answer.headers


def test_earlier_turns_come_in_pieces_of_their_own_branch(
    person: Client, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.pages.TURNS_AT_ONCE", 2)
    turns = [end(ask("0"))]
    for number in range(1, 5):
        turns.append(end(ask(str(number), turns[0].conversation)))
    person.post(address("regenerate", turns[0]))

    pieces = [person.get(address("earlier", turns[at])).content.decode() for at in (4, 2)]

    shown_turns = [re.findall(r'id="turn-([^"]+)"', piece) for piece in pieces]
    assert shown_turns == [[str(each.pk) for each in turns[a:b]] for a, b in ((2, 4), (0, 2))]
    assert address("earlier", turns[2]) in pieces[0]
    assert "Show earlier" not in pieces[1]


def test_a_refusal_is_told_beside_the_composer(person: Client, two: Any) -> None:
    put(two[1], Turn.Status.WAITING)

    for name in ("regenerate", "show"):
        answer = person.post(address(name, two[0]), headers=HTMX)
        assert answer.status_code == 409
        assert answer.headers["HX-Retarget"] == "#composer-error"
        assert "waits for your decision" in answer.content.decode()
    assert person.get(address("edit", two[0]), headers=HTMX).status_code == 409


def test_an_edit_keeps_what_was_typed_where_it_is_refused(person: Client, two: Any) -> None:
    page = person.get(address("edit", two[0])).content.decode()
    assert re.search(r"<textarea[^>]*>One</textarea>", page)
    put(two[1], Turn.Status.RUNNING)

    whole = person.post(address("edit", two[0]), {"text": "My long text"})
    part = person.post(address("edit", two[0]), {"text": "My long text"}, headers=HTMX)

    assert (whole.status_code, part.status_code) == (409, 409)
    for answer in (whole, part):
        assert ">My long text</textarea>" in answer.content.decode()
        assert "still answering" in answer.content.decode()
    assert part.headers["HX-Retarget"] == f"#edit-{two[0].pk}"


def test_an_edited_message_takes_the_place_of_the_first(person: Client, two: Any) -> None:
    html = person.post(address("edit", two[1]), {"text": "Other"}, headers=HTMX).content.decode()

    assert "Other" in html and "2 / 2" in html
    assert shown(two[0]) == ["Other"]


def test_a_turn_without_a_message_of_its_own_cannot_be_edited(person: Client, ask: Any) -> None:
    failed = end(ask(), Turn.Status.FAILED, "")
    further = answered(continue_turn(fresh(failed), uuid.uuid4()), "Now")

    assert person.get(address("edit", further)).status_code == 404


def test_a_form_that_is_sent_twice_begins_one_turn(person: Client, ask: Any) -> None:
    turn = end(ask())
    found = re.search(
        rf'action="{address("regenerate", turn)}".*?name="submission" value="([^"]+)"',
        page_of(person, turn),
        re.DOTALL,
    )
    assert found

    for _ in range(2):
        person.post(address("regenerate", turn), {"submission": found[1]})

    assert Turn.objects.count() == 2


def test_a_message_goes_to_the_branch_that_its_page_showed(person: Client, two: Any) -> None:
    first, second = two
    old_page = page_of(person, first)
    assert f'name="parent" value="{second.pk}"' in old_page
    person.post(address("show", first))

    sent = {"text": "Next", "parent": str(second.pk)}
    person.post(reverse("chat:send", args=[first.conversation_id]), sent)

    assert shown(first) == ["One", "Second", "Next"]


@pytest.mark.parametrize("parent", ["rubbish", NOBODYS])
def test_a_broken_parent_costs_nobody_the_message(person: Client, two: Any, parent: str) -> None:
    sent = {"text": "Next", "parent": parent}
    person.post(reverse("chat:send", args=[two[0].conversation_id]), sent)

    assert shown(two[0]) == ["One", "Second", "Next"]


def test_an_answer_is_copied_as_text_without_what_cannot_be_seen(person: Client, ask: Any) -> None:
    turn = end(ask(), answer="# A\x1b[31m\u202e<b>")

    answer = person.get(address("text", turn))

    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.content.decode() == "# A<b>"


def test_calls_that_may_have_changed_something_are_counted_before_another_answer(
    person: Client, ask: Any
) -> None:
    server = MCPServer.objects.create(name="Shop", slug="shop", endpoint_url="http://x.example")
    reads = MCPTool.objects.create(server=server, name="stock", annotations={"readOnlyHint": True})
    writes = MCPTool.objects.create(server=server, name="order")
    turn = ask()
    wanting = Message.objects.create(
        conversation=turn.conversation, turn=turn, role=Message.Role.ASSISTANT
    )
    for number, (tool, status, attempts) in enumerate(
        [
            (reads, "succeeded", 1),
            (writes, "succeeded", 1),
            (None, "failed", 1),
            (writes, "refused", 0),
            (writes, "unknown", 1),
        ]
    ):
        ToolCall.objects.create(
            turn=turn,
            message=wanting,
            tool=tool,
            call_id=str(number),
            function_name=f"shop__{number}",
            title=f"Tool <{number}>",
            server_name="Shop",
            status=status,
            attempts=attempts,
        )
    end(turn, Turn.Status.DONE, "Done")

    page = page_of(person, turn)

    assert "3 calls of this answer changed something" in page
    chips = re.findall(r"data-card>([^<]+)</a>", page)
    assert chips == ["Shop · Tool &lt;0&gt;", "Shop · Tool &lt;1&gt;"]


def test_a_call_whose_result_the_model_never_saw_is_no_source(person: Client, ask: Any) -> None:
    turn = ask()
    wanting = Message.objects.create(
        conversation=turn.conversation, turn=turn, role=Message.Role.ASSISTANT, content="I look"
    )
    ToolCall.objects.create(
        turn=turn, message=wanting, call_id="1", function_name="x", status="succeeded"
    )
    put(turn, Turn.Status.FAILED)

    assert "Based on" not in page_of(person, turn)
    end(turn, Turn.Status.DONE, "Seen")
    assert "Based on" in page_of(person, turn)


def test_the_cost_is_shown_where_there_is_one(person: Client, ask: Any, settings: Any) -> None:
    settings.AUTOMATE = {"MODELS": {"default": {"MODEL": "x", "LABEL": "<Fast>"}}}
    turn = end(ask())
    assert "<dt>Cost</dt>" not in page_of(person, turn)
    Turn.objects.update(cost="0.012300", prompt_tokens=12345)

    page = page_of(person, turn)

    assert "<dd>0.0123</dd>" in page
    assert "<dd>&lt;Fast&gt;</dd>" in page
    assert "<dd>12,345</dd>" in page
