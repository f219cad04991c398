"""Markdown from a model becomes safe HTML, whatever it holds."""

import time

import pytest

from chat import rendering
from chat.rendering import render_markdown, settled_length, visible_text

from .hostile import HOSTILE_TEXTS, dangers, elements


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_hostile_text_never_becomes_markup_that_runs_or_loads(text: str) -> None:
    html = render_markdown(text)

    assert dangers(html) == []


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_hostile_text_inside_other_markdown_stays_as_harmless(text: str) -> None:
    html = render_markdown(
        f"# Title\n\n- item **{text}**\n\n> {text}\n\n| a |\n|---|\n| {text} |\n"
    )

    assert dangers(html) == []


def test_the_finder_of_dangers_finds_them() -> None:
    assert dangers("<p><img src=x onerror=y></p>")
    assert dangers("<a href=javascript:x>x</a>")
    assert dangers("<p onclick=x>x</p>")
    assert dangers("<script>x</script>")
    assert dangers('<a href="https://a.example">x</a>') == []


def test_only_links_to_the_web_become_links() -> None:
    html = render_markdown(
        "[a](https://a.example/b) [c](/admin/) [d](mailto:d@e.example) [f](ftp://g.example)"
    )

    links = [attributes for tag, attributes in elements(html) if tag == "a"]
    assert links == [
        {
            "href": "https://a.example/b",
            "target": "_blank",
            "rel": "noopener noreferrer nofollow",
        }
    ]


def test_a_link_shows_where_it_leads_when_its_text_does_not() -> None:
    assert "(evil.example)" in render_markdown("[https://bank.example](https://evil.example/x)")
    assert "link-host" not in render_markdown("<https://bank.example/x>")


def test_a_link_with_a_user_name_that_poses_as_a_host_is_no_link() -> None:
    html = render_markdown(
        "[x](https://bank.example@evil.example/) <https://bank.example@e.example/>"
    )

    assert "<a " not in html


def test_an_image_is_a_link_and_is_never_loaded() -> None:
    html = render_markdown("![A cat](https://pictures.example/cat.png)")

    assert "<img" not in html
    assert 'href="https://pictures.example/cat.png"' in html
    assert "A cat" in html
    assert "(pictures.example)" in html


def test_code_is_highlighted_by_classes() -> None:
    html = render_markdown("```py\nprint('<b>')\n```")

    assert '<span class="nb">print</span>' in html
    assert '<span class="code-language">python</span>' in html
    assert "style=" not in html


def test_code_in_an_unknown_language_is_shown_as_it_is() -> None:
    html = render_markdown("```brainfuck\n<b>+</b>\n```")

    assert "&lt;b&gt;+&lt;/b&gt;" in html
    assert "brainfuck" not in html


def test_a_language_called_by_its_short_name_is_known() -> None:
    for short, language in rendering.LANGUAGES.items():
        assert f'"code-language">{language}<' in render_markdown(f"```{short}\nx\n```")


def test_tables_are_aligned_without_styles() -> None:
    html = render_markdown("| a | b |\n|---|--:|\n| 1 | 2 |")

    assert '<td class="align-right">2</td>' in html
    assert '<div class="table-scroll" tabindex="0"><table dir="auto">' in html
    assert "style=" not in html


@pytest.mark.parametrize(
    ("columns", "classes"),
    [(3, ""), (4, " columns-4"), (5, " columns-4"), (6, " columns-4 columns-6")],
)
def test_a_table_says_that_it_has_many_columns(columns: int, classes: str) -> None:
    rows = [["a"] * columns, ["-"] * columns, *[["1"] * (columns + 3)] * 2]
    html = render_markdown("\n".join(f"| {' | '.join(row)} |" for row in rows))

    assert html.startswith(f'<div class="table-scroll{classes}" tabindex="0"><table')
    assert "</table></div>" in html


def test_a_model_cannot_use_the_classes_of_the_page() -> None:
    html = render_markdown('<p class="error">x</p>\n\n```error\nx\n```')

    classes = [attributes["class"] for _, attributes in elements(html) if "class" in attributes]
    assert classes == ["code-block"]


def test_text_over_the_limit_is_shown_plain() -> None:
    html = render_markdown("**a** " * 20_000)

    assert html.startswith('<div class="plain">**a** ')


@pytest.mark.parametrize(
    "text",
    [
        "[" * 60_000,
        "*a " * 6_000,
        "*_" * 10_000,
        "![" * 10_000,
        "> " * 30_000,
        "- " * 30_000,
        "[a](" * 5_000,
        "|a|b|\n|-|-|\n" + "|1|2|\n" * 8_000,
        "```java\n" + "a " * 4_900 + "\n```",
        "```c\n" + "\n" * 9_900 + "x\n```",
    ],
    ids=lambda text: text[:12],
)
def test_hostile_lengths_and_depths_end_in_time(text: str) -> None:
    began = time.process_time()
    render_markdown(text)
    took = time.process_time() - began

    assert took < 5


def test_control_characters_and_direction_overrides_are_removed() -> None:
    assert visible_text("a\x1b[31mred\x1b[0m\u202eb\x00\x07\r\nc\td") == "aredb\nc\td"


def test_nothing_is_settled_while_one_block_grows() -> None:
    assert settled_length("A paragraph\nwith two lines") == 0
    assert settled_length("```py\nx = 1\n\ny = 2\n") == 0
    assert settled_length("- one\n\n- two\n") == 0


def test_what_stands_before_the_last_block_is_settled() -> None:
    text = "# Title\n\nFirst.\n\n```\ncode\n```\nLast"

    assert text[: settled_length(text)] == "# Title\n\nFirst.\n\n```\ncode\n```\n"


def test_a_paragraph_that_becomes_a_table_is_not_settled_before() -> None:
    assert settled_length("Text.\n\n| a | b |") == len("Text.\n\n")
    assert settled_length("Text.\n\n| a | b |\n|---|---|\n") == len("Text.\n\n")


def test_settling_line_by_line_gives_the_same_html_as_the_whole() -> None:
    text = (
        "# Title\n\nSome *text*.\r\n\r\n1. one\n2. two\n\n   more\n\n```py\na = 1\n\nb\n```\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n> quote\n> more\n\n---\n\nEnd.\n"
    )
    html, tail = "", ""
    for piece in text.splitlines(keepends=True):
        tail += piece
        length = settled_length(tail)
        html, tail = html + render_markdown(tail[:length]), tail[length:]

    assert _squeezed(html + render_markdown(tail)) == _squeezed(render_markdown(text))


def test_lists_quotes_and_tables_stand_where_their_own_words_begin() -> None:
    html = render_markdown("1. اطلب\n   - الأحمر\n\n- one\n\n> اقتباس\n\n| الصنف |\n|---|\n| 7 |")

    for opened in ("<ol", "<blockquote", "<table"):
        assert f'{opened} dir="auto">' in html
    assert html.count("<ul>") == html.count('<ul dir="auto">') == 1


def _squeezed(html: str) -> str:
    return html.replace("\n", "")
