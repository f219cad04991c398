"""What a person does with whole conversations, in a real browser and without scripts."""

from typing import TYPE_CHECKING, Any

import pytest

from chat.models import Conversation
from tests.chat.test_views_content import a_turn

from .conftest import Tabs

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("executor")]

PHONE = {"viewport": {"width": 375, "height": 720}, "has_touch": True, "is_mobile": True}


def talk(user: Any, title: str, answer: str = "Seven.") -> str:
    """The address of a conversation with one turn."""
    return f"/chat/conversations/{a_turn(user, title, answer).conversation_id}/"


def open_menu(page: "Page", title: str) -> None:
    """By keyboard: the button of the row, once it has the focus."""
    summary = page.locator(".period li", has_text=title).locator("summary")
    summary.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".menu[open] [data-manage]")


def shown_titles(page: "Page") -> list[str]:
    return page.locator(".period li > a").all_inner_texts()


def test_a_conversation_is_renamed_pinned_and_archived_in_its_menu(tabs: Tabs, user: Any) -> None:
    talk(user, "Cups")
    page = tabs.open(talk(user, "Mugs"))

    open_menu(page, "Mugs")
    page.keyboard.press("Tab")
    page.keyboard.type("Jars")  # the field holds the old title, chosen
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Jars')")
    page.wait_for_selector(".period li:has-text('Jars')")
    assert page.locator(".menu[open]").count() == 0
    assert page.evaluate("document.activeElement.closest('li')?.innerText").startswith("Jars")

    open_menu(page, "Cups")
    page.click(".menu[open] button:has-text('Pin')")
    page.wait_for_selector(".period:has-text('Pinned') li:has-text('Cups')")
    open_menu(page, "Jars")
    page.click(".menu[open] button:has-text('Archive')")
    page.wait_for_selector(".mark:has-text('Archived')")
    page.wait_for_selector(".period li:has-text('Jars')", state="detached")
    page.click("[data-undo]")
    page.wait_for_selector(".period li:has-text('Jars')")


def test_escape_closes_a_menu_and_gives_the_focus_back(tabs: Tabs, user: Any) -> None:
    page = tabs.open(talk(user, "Mugs"))

    open_menu(page, "Mugs")
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")

    page.wait_for_selector(".menu[open]", state="detached")
    assert page.evaluate("document.activeElement.matches('.period summary')")


def test_delete_and_undo_with_the_conversation_open_and_from_another(tabs: Tabs, user: Any) -> None:
    talk(user, "Cups")
    page = tabs.open(talk(user, "Mugs"), **PHONE)

    page.click(".drawer-open")
    open_menu(page, "Cups")
    page.click(".menu[open] button:has-text('Delete')")
    page.wait_for_selector("[data-undo]:visible")
    assert page.locator("h1:has-text('Mugs')").is_visible()
    page.click("[data-undo]")
    page.wait_for_selector("[data-undo]", state="detached")
    assert Conversation.objects.filter(deleted_at=None).count() == 2

    page.click(".bar-conversation summary")
    page.click(".bar-conversation button:has-text('Delete')")
    page.wait_for_selector("h1:has-text('New conversation')")
    page.click("[data-undo]")
    page.click(".drawer-open")
    page.wait_for_selector(".period li:has-text('Mugs')")


def test_without_javascript_the_same_is_done_on_pages(tabs: Tabs, user: Any) -> None:
    page = tabs.open(talk(user, "Mugs"), java_script_enabled=False)

    page.click(".bar-conversation summary")
    page.click(".bar-conversation .menu-entry")
    page.fill("main [name=title]", "Jars")
    page.click("main button:has-text('Rename')")
    page.wait_for_selector("h1:has-text('Jars')")
    page.goto(page.url + "manage/")
    page.click("main button:has-text('Delete')")
    page.click("button:has-text('Undo')")

    page.wait_for_selector("h1:has-text('Jars')")
