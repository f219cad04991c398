"""What tools answered, opened: told apart, shown in bounded parts, searched, and downloaded."""

import json
import time
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from chat.models import ToolCall
from chat.results import searching, trees
from chat.results.answers import answer_of
from chat.results.opened import Opened
from chat.results.previews import preview_of
from chat.results.tables import table_of

from .hostile import HOSTILE_TEXTS, dangers
from .test_views_content import a_call, a_turn, page_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("executor")]

ROWS = [{"sku": f"MUG-{number}", "left": number, "tags": ["a", "b"]} for number in range(250)]


@pytest.fixture
def person(client: Client, user: Any) -> Client:
    client.force_login(user)
    return client


def stored(*texts: str, **fields: Any) -> dict[str, Any]:
    """What the row of a call holds."""
    content = [{"type": "text", "text": text} for text in texts]
    structured = fields.pop("structured", None)
    content += fields.pop("blocks", [])
    return {"content": content, "structured": structured, "has_structured": structured is not None}


def a_result(user: Any, *texts: str, **fields: Any) -> ToolCall:
    text = fields.pop("result_text", "\n".join(texts)[:60_000])
    return a_call(
        a_turn(user), status="succeeded", result=stored(*texts, **fields), result_text=text
    )


def shown(person: Client, call: ToolCall, is_part: bool = True, **query: Any) -> str:
    headers = {"HX-Request": "true"} if is_part else {}
    response = person.get(reverse("chat:result", args=[call.pk]), query, headers=headers)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(
    ("result", "value", "text"),
    [
        (stored("plain words"), "plain words", "plain words"),
        (stored('{"a": 1}'), {"a": 1}, ""),
        (stored('{"a": 1}', structured={"a": 1}), {"a": 1}, ""),
        (stored("One item.", structured={"a": 1}), {"a": 1}, "One item."),
        (stored('{"a": 1}', '{"a": 2}'), [{"a": 1}, {"a": 2}], ""),
        (stored('{"a": 1}', "and words"), '{"a": 1}\nand words', '{"a": 1}\nand words'),
        (stored("{broken"), "{broken", "{broken"),
        (stored(structured="words"), "words", "words"),
        (None, "as the model had it", "as the model had it"),
    ],
)
def test_an_answer_is_json_where_its_server_sent_some(result: Any, value: Any, text: str) -> None:
    answer = answer_of(result, "as the model had it")

    assert (answer.value, answer.text) == (value, text)
    assert answer.is_json == (not isinstance(value, str))


@pytest.mark.parametrize(
    ("value", "columns"),
    [
        (ROWS, ["sku", "left", "tags"]),
        ([{"a": 1}, {"b": None}], ["a", "b"]),
        ({"result": ROWS}, ["sku", "left", "tags"]),
        ({"total": 250, "rows": ROWS}, ["sku", "left", "tags"]),
        ([{"a": {"b": 1}}], None),
        ([{"a": 1}, 2], None),
        ([], None),
        ([{}], None),
        ({"rows": ROWS, "others": ROWS}, None),
        ({"a": 1}, None),
    ],
)
def test_only_a_list_of_flat_objects_is_a_table(value: Any, columns: Any) -> None:
    table = table_of(value)

    assert (None if table is None else table.columns) == columns


def test_a_row_of_another_kind_far_down_harms_no_table() -> None:
    rows = [*({"a": number} for number in range(1_200)), {"a": {"deep": 1}, "b": 2}]

    assert table_of(rows).part(1_199, 2)[1][0].text  # type: ignore[union-attr]


def test_a_tree_is_bounded_and_links_to_all_that_it_leaves_out() -> None:
    value = {"wide": list(range(5_000)), "deep": [[[["x" * 2_000]]]]}
    html = trees.tree(value, trees.Bounds(lines=40, width=10, text=20, address="/r/"))

    assert html.count("<li>") < 60
    assert "path=%2Fwide&amp;from=10" in html
    assert "Show 10 of 4,990 more" in html
    assert "1,980 more characters" in html
    assert "path=%2Fdeep%2F0%2F0%2F0%2F0" in html


def test_the_parts_of_a_tree_are_all_of_it(user: Any) -> None:
    opened = Opened(answer_of(None, json.dumps(list(range(250)))), "/r/", {"from": "200"})

    assert [f">{number}</span>" in opened.tree_items for number in (199, 200, 249)] == [
        False,
        True,
        True,
    ]
    assert "more" not in opened.tree_items


@pytest.mark.parametrize("path", ["/a~1b/c~0d/0", "/a~1b/c~0d"])
def test_a_path_leads_to_its_part_whatever_its_keys(path: str) -> None:
    value = {"a/b": {"c~d": ["here"]}}

    assert "here" in str(trees.part_at(value, path))


@pytest.mark.parametrize("path", ["/b", "/a/x", "/a/9", "/a/0/0", "nonsense/b"])
def test_a_path_that_leads_nowhere_is_not_found(person: Client, user: Any, path: str) -> None:
    call = a_result(user, '{"a": [1]}')

    response = person.get(reverse("chat:result", args=[call.pk]), {"view": "tree", "path": path})
    assert response.status_code == 404


def test_words_are_found_in_values_keys_rows_and_lines() -> None:
    value = {"Mug": [{"name": "blue mug"}, None, True], "other": 7}

    assert [each.path for each in searching.in_value(value, "MUG").shown] == ["/Mug", "/Mug/0/name"]
    assert searching.in_value(value, "7").shown[0].words == "7"
    assert len(list(searching.in_rows(ROWS, "mug-24"))) == 11
    assert [each.name for each in searching.in_text("a\nMug\nb", "mug").shown] == ["2"]
    assert searching.in_text("İstanbul ß", "SS").count == 1


def test_a_table_shows_rows_in_parts_and_only_those_with_the_words(
    person: Client, user: Any
) -> None:
    call = a_result(user, json.dumps(ROWS))

    first = shown(person, call)
    rest = shown(person, call, part="items", **{"from": "200"})
    found = shown(person, call, q="mug-24", part="body")

    assert first.count("<tr>") == 1 + 100 + 1
    assert rest.count("<tr>") == 50
    assert "MUG-249" in rest
    assert found.count("<tr>") == 1 + 11
    assert "11 rows found" in found


@pytest.mark.parametrize("query", [{"from": "x"}, {"from": "9" * 30}, {"view": "x"}, {"q": "\x00"}])
def test_rubbish_in_the_address_shows_something(person: Client, user: Any, query: Any) -> None:
    assert "<h2" in shown(person, a_result(user, json.dumps(ROWS)), **query)


def test_the_page_stands_alone_without_javascript(person: Client, user: Any) -> None:
    call = a_result(user, json.dumps(ROWS))
    page = shown(person, call, is_part=False, q="MUG-3", view="tree")

    assert "<!doctype html>" in page
    assert "<mark>MUG-3</mark>" in page
    assert (
        f"{reverse('chat:conversation', args=[call.turn.conversation_id])}#call-{call.pk}" in page
    )


def test_text_comes_in_parts(person: Client, user: Any) -> None:
    call = a_result(user, "x" * 50_000 + "the end")

    assert "the end" not in shown(person, call)
    assert "the end" in shown(person, call, part="items", **{"from": "50000"})


def test_blocks_that_are_neither_text_nor_file_are_shown(person: Client, user: Any) -> None:
    blocks = [
        {"type": "resource", "resource": {"uri": "note://1", "text": "A note."}},
        {"type": "resource_link", "uri": "https://a.example/x", "name": "Manual"},
        {"type": "unusable", "kind": "video", "reason": "this client does not know its kind"},
    ]
    page = shown(person, a_result(user, "words", blocks=blocks))

    for each in ("A note.", "Manual", "Left out: video, since this client does not know its kind."):
        assert each in page


def test_an_answer_is_its_owners_alone(client: Client, user: Any) -> None:
    call = a_result(user, "secret")
    client.force_login(get_user_model().objects.create_superuser("eve"))

    for name in ("result", "result-download"):
        assert client.get(reverse(f"chat:{name}", args=[call.pk])).status_code == 404


@pytest.mark.parametrize(("form", "kind"), [("json", "application/json"), ("text", "text/plain")])
def test_a_download_is_a_file_that_no_browser_runs(
    person: Client, user: Any, form: str, kind: str
) -> None:
    call = a_result(user, "<script>alert(1)</script>")
    ToolCall.objects.filter(pk=call.pk).update(function_name='../"\r\nX: y;é')
    response = person.get(reverse("chat:result-download", args=[call.pk]), {"as": form})

    assert response["Content-Type"].startswith(kind)
    assert response["Content-Disposition"].startswith('attachment; filename="X-y-')
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]
    assert "no-store" in response["Cache-Control"]


def test_a_download_has_every_value(person: Client, user: Any) -> None:
    call = a_result(user, "See the data.", structured={"rows": ROWS})
    address = reverse("chat:result-download", args=[call.pk])

    assert json.loads(person.get(address, {"as": "json"}).content) == {"rows": ROWS}
    assert person.get(address).content == b"See the data."


def test_hostile_text_adds_nothing_to_an_opened_answer(person: Client, user: Any) -> None:
    texts = [text.replace("\x00", "") for text in HOSTILE_TEXTS]
    flat = [{text: text for text in texts}]
    call = a_result(user, structured=flat, blocks=[{"type": "unusable", "kind": t} for t in texts])
    allowed = {"form", "input", "svg", "noscript"}

    for query in ({}, {"view": "tree"}, {"view": "text"}, {"view": "tree", "q": "alert"}):
        found = dangers(shown(person, call, **query))
        assert [each for each in found if each.split()[0] not in allowed] == []


def test_a_conversation_never_loads_whole_results(person: Client, user: Any) -> None:
    call = a_result(user, "x" * 1_000_000, result_text="short")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page_of(person, call.turn)

    assert not [each for each in queries if '"result"' in each["sql"] or ".`result`" in each["sql"]]


@pytest.mark.parametrize(("count", "most"), [(8_000, 1), (80_000, 8)])
def test_a_large_answer_is_opened_and_searched_in_time(
    person: Client, user: Any, count: int, most: float
) -> None:
    """One and ten megabytes; the processor's time, so that other tests cannot make it fail."""
    rows = [{"sku": f"MUG-{number}", "words": "blue " * 20} for number in range(count)]
    call = a_result(user, structured=rows, result_text="[]")
    began = time.process_time()
    opened = shown(person, call, is_part=False)
    took = time.process_time() - began
    found = shown(person, call, view="tree", q=f"MUG-{count - 1}")

    assert opened.count("<tr>") == 1 + 100 + 1
    assert len(opened) < 100_000
    assert "1 place found" in found
    assert took < most, f"{took:.2f} s"


@pytest.mark.parametrize(
    ("text", "kind"),
    [(json.dumps(ROWS[:20]), "table"), ('{"a": {"b": 1}}', "tree"), ("words", "text")],
)
def test_a_card_shows_the_beginning_in_the_form_that_fits(text: str, kind: str) -> None:
    preview = preview_of(text)

    assert getattr(preview, kind)
    assert preview.rest == (14 if kind == "table" else 0)


def test_several_calls_of_an_answer_are_one_line_until_they_are_opened(
    person: Client, user: Any
) -> None:
    turn = a_turn(user)
    for number in range(3):
        a_call(turn, call_id=str(number), status="succeeded", title=f"Tool {number}")
    page = page_of(person, turn)
    assert '<details class="call-group">' in page
    assert "3 calls" in page
    assert "Tool 0, Tool 1, Tool 2" in page

    ToolCall.objects.filter(call_id="1").update(status="failed", error="HTTP 503")
    page = page_of(person, turn)
    assert '<details class="call-group" open>' in page
    assert "1 not done" in page


def test_a_running_call_says_for_how_long(person: Client, user: Any) -> None:
    turn = a_turn(user)
    call = a_call(turn, status="running")
    ToolCall.objects.filter(pk=call.pk).update(started_at=call.created_at)

    assert 'data-runs-for="0.' in page_of(person, turn)
