"""Code that a limit cut in two."""

import time

import pytest

from chat.rejoining import open_fence, rejoined

CUT = "So:\n\n```py\ndef left():\n"


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        (CUT, "```py"),
        ("```\nx\n```\n", "None"),
        ("```\nx\n```\n\n~~~~sh\nls\n~~~\n", "~~~~sh"),
        ("````md\n```py\nx\n```\n", "````md"),
        ("1. one\n   ```c\n   x", "```c"),
        ("A `word` and ```three``` marks", "None"),
    ],
)
def test_the_block_that_a_text_ends_in_is_known(text: str, opened: str) -> None:
    assert str(open_fence(text)) == opened


@pytest.mark.parametrize(
    "text",
    [
        "    return 7\n```\n\nThat is all.",
        "```\n\nThat is all.",
        "    return 7\n```\n\nRun it:\n\n```sh\nls\n```\n",
        "    return 7\n```\n\nIt prints:\n\n```\n7\n```\n",
    ],
)
def test_what_goes_on_in_the_middle_of_a_block_opens_it_anew(text: str) -> None:
    assert rejoined(CUT, text) == f"```py\n{text}"


@pytest.mark.parametrize(
    "text",
    [
        "```py\n    return 7\n```\n",
        "It goes on:\n\n```py\n    return 7\n```\n",
        "```\n    return 7\n```\n\nThat is all.",
        "I stop here.",
        "",
    ],
)
def test_what_opens_a_block_of_its_own_or_none_stays_as_it_is(text: str) -> None:
    assert rejoined(CUT, text) == text


def test_code_without_an_end_is_code_only_where_it_was_cut_again() -> None:
    assert rejoined(CUT, "    return 7", is_cut=True) == "```py\n    return 7"
    assert rejoined(CUT, "    return 7") == "    return 7"


def test_a_text_that_follows_no_open_block_stays_as_it_is() -> None:
    text = "x\n```\ny"

    assert rejoined("```\nx\n```\n", text, is_cut=True) == rejoined("", text) == text


@pytest.mark.parametrize("line", ["~~~" + " " * 400_000 + "`", "~" * 400_000 + "`"])
def test_a_long_line_that_is_almost_a_fence_is_read_in_time(line: str) -> None:
    before = time.thread_time()

    assert open_fence(line) is None
    assert time.thread_time() - before < 1
