"""Search in one's own conversations: what is found and shown, and what cannot break it."""

import time
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from chat import filing
from chat.models import Conversation, Message, Turn
from chat.search import search
from chat.search.base import Sought, marked, without_markdown

from .hostile import HOSTILE_BUNDLES, elements
from .test_views import end, person, stranger
from .test_views_content import a_turn

__all__ = ["person", "stranger"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("executor")]


def found(user: Any, text: str) -> list[str]:
    return [hit.conversation.title for hit in search(user, text)]


@pytest.mark.parametrize(
    "text",
    ["mugs", "MUGS", "blue mu", "mugs blue", "«mugs»", "“blue”, mugs!", "  mugs  ", "blue-mug"],
)
def test_all_words_are_found_and_of_the_last_one_the_beginning(user: Any, text: str) -> None:
    a_turn(user, "First", "There are 7 blue mugs.")
    a_turn(user, "Second", "There are 7 red cups, and it is blue Monday.")

    assert found(user, text) == ["First"]


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("cafe", "Das Café in Zürich"),
        ("CAFÉ zur", "Das Café in Zürich"),
        ("cafe", "un cafe\u0301 noir"),
        ("ложка", "Ложка и вилка"),
        ("ΜΉΛΟ", "Ένα μήλο"),
        ("чай", "Чай с лимоном"),
        ("हिन्दी", "यह हिन्दी में है"),
        ("كتاب", "هذا كتاب جديد"),
        ("main", "see src/main.py:12"),
        ("snake", "a snake_case name"),
    ],
)
def test_words_of_any_language_are_found_with_and_without_accents(
    user: Any, text: str, there: str
) -> None:
    a_turn(user, "Talk", there)

    [hit] = search(user, text)
    assert "<mark>" in hit.snippet


@pytest.mark.parametrize(
    ("text", "there"),
    [("天気", "明日の東京の天気は晴れです"), ("🎉", "Done 🎉!"), ("ราคา", "ขอราคาด้วย")],
)
def test_scripts_without_spaces_and_signs_alone_are_found(user: Any, text: str, there: str) -> None:
    a_turn(user, "Talk", there)
    a_turn(user, "Other", "Nothing of it")

    [hit] = search(user, text)
    assert f"<mark>{text}</mark>" in hit.snippet


def test_titles_are_found_as_they_are_now(user: Any) -> None:
    conversation = a_turn(user, "Mugs").conversation
    Message.objects.all().delete()

    assert found(user, "mugs") == ["Mugs"]
    filing.rename(conversation, "Cups")
    assert found(user, "mugs") == []
    assert found(user, "cups") == ["Cups"]


def test_a_message_is_found_whoever_writes_changes_or_removes_it(user: Any) -> None:
    turn = a_turn(user, "Talk", "zebra")
    message = turn.messages.get(content="zebra")

    Message.objects.filter(pk=message.pk).update(content="giraffe")
    assert (found(user, "zebra"), found(user, "giraffe")) == ([], ["Talk"])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE automate_chat_message SET content = 'lion'")
    assert (found(user, "giraffe"), found(user, "lion")) == ([], ["Talk"])
    turn.conversation.delete()
    assert found(user, "lion") == []


def test_an_index_that_lost_its_triggers_is_made_whole_by_migrate(user: Any) -> None:
    if connection.vendor == "sqlite":  # which makes a table anew to change a column
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER automate_chat_message_words_insert")
    a_turn(user, "Talk", "zebra")
    assert found(user, "zebra") == ([] if connection.vendor == "sqlite" else ["Talk"])

    call_command("migrate", verbosity=0)

    assert found(user, "zebra") == ["Talk"]
    a_turn(user, "Talk", "giraffe")
    assert found(user, "giraffe") == ["Talk"]


def test_an_index_of_an_earlier_version_is_made_anew_by_migrate(user: Any) -> None:
    words, messages = "automate_chat_message_words", "automate_chat_message"
    if connection.vendor == "sqlite":  # others keep their indices themselves
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER {words}_after_update")
            cursor.execute(
                f"CREATE TRIGGER {words}_new AFTER INSERT ON {messages} BEGIN "
                f"INSERT INTO {words} (rowid, content) VALUES (new.id, new.content); END"
            )
    turn = a_turn(user, "Talk", "zebra")
    turn.messages.update(content="")

    call_command("migrate", verbosity=0)

    assert found(user, "zebra") == []
    turn.messages.update(content="giraffe")
    assert found(user, "giraffe") == ["Talk"]
    expect_soundness()


def test_messages_without_a_word_are_no_part_of_the_index(user: Any) -> None:
    message = a_turn(user, "Talk", "").messages.get(role=Message.Role.ASSISTANT)
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM automate_chat_message_words_docsize")
            assert (message.pk,) not in cursor.fetchall()

    for content in ("zebra", "", "", "giraffe", "lion", ""):
        Message.objects.filter(pk=message.pk).update(content=content)
        there = {word for word in ("zebra", "giraffe", "lion") if found(user, word)}
        assert there == {content} - {""}
        expect_soundness()
    message.delete()
    expect_soundness()


def expect_soundness() -> None:
    """Have SQLite look at the whole file, and its index of words say that it counts right."""
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO automate_chat_message_words (automate_chat_message_words) "
            "VALUES ('integrity-check')"
        )
        cursor.execute("PRAGMA integrity_check")
        assert list(cursor.fetchall()) == [("ok",)]


def test_the_best_place_comes_first_and_leads_to_its_message(person: Client, user: Any) -> None:
    a_turn(user, "Talk", "There was a mug, " + "and many other things. " * 60)
    best = a_turn(user, "Mug prices", "A mug costs two, a big mug three.")

    hits = search(user, "mug")
    page = person.get(reverse("chat:search"), {"q": "mug"}).content.decode()

    assert [hit.conversation.title for hit in hits] == ["Mug prices", "Talk"]
    message = hits[0].message
    assert message is not None
    address = reverse("chat:conversation", args=[best.conversation_id])
    assert f'href="{address}?message={message.pk}#message-{message.pk}"' in page
    assert hits[0].snippet in page


def test_a_result_on_another_branch_shows_that_branch(person: Client, user: Any, ask: Any) -> None:
    first = end(ask("First way"))
    second = end(ask("Second way", first.conversation))
    Turn.objects.filter(pk=second.pk).update(parent=None)
    address = reverse("chat:conversation", args=[first.conversation_id])

    for turn, other in ((first, second), (second, first)):
        page = person.get(address, {"message": turn.messages.first().pk}).content.decode()
        assert f'id="turn-{turn.pk}"' in page
        assert f'id="turn-{other.pk}"' not in page
    for rubbish in ("", "x", "-1", "9" * 30, "²", "0"):
        assert person.get(address, {"message": rubbish}).status_code == 200


def test_deleted_conversations_are_not_found_and_archived_ones_have_a_mark(
    person: Client, user: Any
) -> None:
    filing.delete(a_turn(user, "Gone", "mugs").conversation)
    filing.archive(a_turn(user, "Kept", "mugs").conversation)

    assert found(user, "mugs") == ["Kept"]
    page = person.get(reverse("chat:search"), {"q": "mugs"}).content.decode()
    assert '<span class="mark">Archived</span>' in page


@pytest.mark.parametrize("text", ["secret", "plan", "秘密"])
def test_nobody_finds_what_is_somebody_elses(stranger: Client, user: Any, text: str) -> None:
    a_turn(user, "My plan", "A secret 秘密 of mine")

    page = stranger.get(reverse("chat:search"), {"q": text}).content.decode()

    assert "of mine" not in page
    assert "My plan" not in page
    assert stranger.get("/chat/api/search", {"q": text}).json() == []


QUERIES = [
    *("", " ", '"', "'", "\\", "*", "mug*", '"mug', "mug OR", "AND", "NOT mug", "NEAR(mug, 2)"),
    *("title:mug", "conversation : x", "a AND (b", ")", "-mug", "^mug", "mug:*", "mug & !cup"),
    *("%", "_", "<->", "''", "\x00", "mug\x00", "🎉", "👩\u200d👧 mug", "\u202emug", "a" * 5000),
    *(
        "mug " * 500,
        "<script>alert(1)</script>",
        "{{ 7 }}",
        "\ud83d",
        "１２",
        "ﬀ",
        "İ",
        "ß",
        "\u0301",
    ),
]


def test_no_query_is_an_error(person: Client, user: Any) -> None:
    a_turn(user, "Mug", "A mug of tea")

    for text in QUERIES:
        search(user, text)
        sent = text.encode(errors="replace").decode()
        assert person.get(reverse("chat:search"), {"q": sent}).status_code == 200


def test_hostile_texts_stay_text_in_results(person: Client, user: Any) -> None:
    address = reverse("chat:search")
    expected: Any = None

    for text in ("x", *HOSTILE_BUNDLES):
        conversation = a_turn(user, f"needle {text}", f"needle {text}").conversation
        page = person.get(address, {"q": "needle"}, headers={"HX-Request": "true"}).content.decode()
        skeleton = [(tag, sorted(names)) for tag, names in elements(page)]
        expected = expected or skeleton
        assert skeleton == expected, text
        conversation.delete()


def test_a_snippet_is_a_piece_round_the_first_find() -> None:
    text = "word " * 400 + "needle <b> " + "word " * 400

    snippet = marked(text, Sought.of("needle"), 180)

    assert snippet.startswith("…word ")
    assert snippet.endswith("…")
    assert "<mark>needle</mark> &lt;b&gt; word" in snippet
    assert len(snippet) < 220


ANSWER = """## Blue mugs

**7** are left, and [3 red ones](https://shop.example/jars).

| Article | Left |
|---|--:|
| MUG-BLUE | 7 |

```python
a | b
```

> - one
"""


@pytest.mark.parametrize(
    ("sought", "shown"),
    [
        ("mugs", "Blue <mark>mugs</mark> 7 are left, and 3 red ones. Article · Left MUG-BLUE · 7"),
        ("jars", "[3 red ones](https://shop.example/<mark>jars</mark>)"),
    ],
)
def test_a_snippet_of_an_answer_shows_its_words_and_its_signs_only_if_they_were_sought(
    user: Any, sought: str, shown: str
) -> None:
    a_turn(user, "Talk", ANSWER)

    snippet = search(user, sought)[0].snippet

    assert shown in snippet
    if sought == "mugs":
        assert snippet.endswith("a | b one")


def test_a_sign_that_parts_two_words_stays(user: Any) -> None:
    a_turn(user, "Talk", "و`MUG-RED` **يُطلب**")

    assert search(user, "mug")[0].snippet == "و`<mark>MUG</mark>-RED يُطلب"


def test_what_a_person_wrote_is_found_as_it_was_written(user: Any) -> None:
    filing.rename(a_turn(user, "# Count | the *mugs*", "Yes.").conversation, "Talk")

    assert search(user, "mugs")[0].snippet == "# Count | the *<mark>mugs</mark>*"


def test_of_many_matches_the_latest_come_first(user: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("chat.search.CANDIDATES", 3)
    for title in ("Mug", "Early", "Late", "Latest"):
        a_turn(user, title, "A mug")

    assert found(user, "mug") == ["Mug", "Latest", "Late", "Early"]


def test_a_word_that_is_everywhere_shows_as_many_as_fit(user: Any, person: Client) -> None:
    Conversation.objects.bulk_create(
        [Conversation(user=user, title=f"Mug {number}") for number in range(40)]
    )
    turns = [Turn(conversation=each, status="done") for each in Conversation.objects.all()]
    Turn.objects.bulk_create(turns)
    Message.objects.bulk_create(
        [Message(conversation=t.conversation, turn=t, role="user", content="mug") for t in turns]
    )

    page = person.get(reverse("chat:search"), {"q": "mug"}).content.decode()

    assert page.count("#message-") == 30
    assert "more words find less" in page


@pytest.mark.parametrize(
    "line",
    [
        "-" * 400_000 + "x",
        "|" + " " * 400_000 + "x",
        " " * 400_000 + "x",
        "- " * 200_000,
        "[" * 400_000,
    ],
)
def test_a_long_line_that_is_almost_markdown_is_stripped_in_time(line: str) -> None:
    before = time.thread_time()

    without_markdown(line)

    assert time.thread_time() - before < 1
