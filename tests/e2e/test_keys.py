"""The keys of the page, and search by them, in a real browser."""

from typing import TYPE_CHECKING, Any

import pytest

from chat.models import Turn
from tests.chat.rows import put
from tests.chat.test_views_content import a_turn

from .conftest import Tabs

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("executor")]

LONG = "\n\n".join(f"Paragraph {number}." for number in range(80))


def focused(page: "Page", selector: str) -> bool:
    return bool(page.evaluate("selector => document.activeElement.matches(selector)", selector))


def test_search_by_keyboard_leads_to_the_message(tabs: Tabs, user: Any) -> None:
    a_turn(user, "Cups", "Needles are not here.")
    found = a_turn(user, "Mugs", f"The needle <b>is</b> here.\n\n{LONG}")
    page = tabs.open()

    page.keyboard.press("Control+k")
    page.keyboard.type("needle")
    page.wait_for_selector("dialog[open] .search-list a")
    assert page.locator("dialog mark").all_inner_texts() == ["Needles", "needle"]
    page.wait_for_selector("#status:has-text('2 conversations')", state="attached")
    for arrow in ("Down", "Down", "Down", "Up", "Down"):
        page.keyboard.press(f"Arrow{arrow}")
    assert focused(page, ".search-list li:last-child a")
    page.keyboard.press("Enter")

    answer = found.messages.get(role="assistant")
    page.wait_for_url(f"**/{found.conversation_id}/?message={answer.pk}#message-{answer.pk}")
    page.wait_for_selector(f"#message-{answer.pk}:target")
    assert page.evaluate("document.getElementById('scroll').scrollTop") < 400
    page.keyboard.press("Control+k")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]", state="detached")


def test_search_without_javascript_is_a_page(tabs: Tabs, user: Any) -> None:
    a_turn(user, "Mugs", "The needle is here.")
    page = tabs.open("/chat/", java_script_enabled=False)

    page.click("[data-open-search]")
    page.fill("main [name=q]", "needle")
    page.press("main [name=q]", "Enter")

    assert page.inner_text("main mark") == "needle"


def test_the_keys_do_what_the_help_says(tabs: Tabs, user: Any) -> None:
    turn = put(a_turn(user, "Mugs"), Turn.Status.QUEUED)
    page = tabs.open(f"/chat/conversations/{turn.conversation_id}/", ready="[data-followed]")
    page.evaluate("document.activeElement.blur()")

    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#keys[open]", state="detached")
    turn.refresh_from_db()
    assert turn.status == Turn.Status.QUEUED

    page.keyboard.press("/")
    assert focused(page, "#text")
    page.keyboard.type("/?")
    assert page.input_value("#text") == "/?"
    assert page.locator("dialog[open]").count() == 0

    page.keyboard.press("Escape")
    page.wait_for_selector("[data-send]")
    turn.refresh_from_db()
    assert turn.status == Turn.Status.CANCELLED

    page.keyboard.press("Control+Shift+o")
    page.wait_for_url("**/chat/")


def test_no_key_is_taken_from_an_input_method_or_a_field(tabs: Tabs, user: Any) -> None:
    page = tabs.open(f"/chat/conversations/{a_turn(user, 'Mugs').conversation_id}/")
    page.click(".bar-conversation summary")
    page.fill(".bar-conversation [name=title]", "")
    page.keyboard.type("a?/")

    assert page.input_value(".bar-conversation [name=title]") == "a?/"
    page.keyboard.press("Escape")
    for composing in ("keyCode: 229", "isComposing: true"):
        page.evaluate(
            "document.body.dispatchEvent(new KeyboardEvent('keydown', "
            f"{{key: 'k', ctrlKey: true, bubbles: true, {composing}}}))"
        )
    assert page.locator("dialog[open]").count() == 0
