"""Choosing tools for a conversation, and seeing why one is missing, in a real browser."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from automate.models import MCPTool
from chat.models import Conversation
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import text

from .conftest import Tabs
from .test_chat import until, wait_for_answer, words

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Send = Callable[[Page, str], None]

pytestmark = pytest.mark.django_db(transaction=True)


def test_tools_are_left_out_before_the_first_message_and_taken_in_later(
    tabs: Tabs, model: Any, shop: Any, send: "Send"
) -> None:
    shop(Offer("search"), Offer("stock"))
    server = model(text("Yes."))
    page = tabs.open()
    page.click("#tools-link")
    page.click("#tools-panel summary")
    page.focus("#tools-panel li button")
    page.keyboard.press("Space")
    page.wait_for_selector("#tools-panel li [aria-checked=false]")
    assert page.locator("#tools-panel details").get_attribute("open") is not None
    assert page.evaluate("document.activeElement.getAttribute('aria-checked')") == "false"
    assert words(page, "#tools-summary") == "1 server, 1 tool"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "tools-link"

    page.fill("#text", "Hello")
    page.press("#text", "Enter")
    wait_for_answer(page)
    assert server.requests[0].tool_names == ["shop__stock"]
    assert words(page, "#tools-mark").startswith("−1")
    page.click("#tools-link")
    page.click("#tools-panel summary")
    page.click("#tools-panel li button")
    until(lambda: Conversation.objects.get().tools_left_out == {"servers": [], "tools": []})
    page.click("[data-close]")
    send(page, "And now?")
    wait_for_answer(page)

    assert server.requests[1].tool_names == ["shop__search", "shop__stock"]
    assert words(page, "#tools-mark") == ""


def test_the_panel_says_why_a_tool_is_missing(tabs: Tabs, model: Any, shop: Any) -> None:
    shop(Offer("search"), Offer("stock"))
    MCPTool.objects.filter(name="stock").update(review="changed", title="Check stock")
    model(text("Yes."))
    page = tabs.open()

    page.click("#tools-link")
    page.click(".tools-missing summary")

    assert words(page, ".tools-missing li") == (
        "Check stock It has changed, and waits for the operator's review."
    )
    page.mouse.click(5, 5)
    page.wait_for_selector("#tools-sheet", state="hidden")


def test_without_a_script_the_list_is_a_page(tabs: Tabs, model: Any, shop: Any) -> None:
    shop(Offer("search"))
    server = model(text("Yes."))
    page = tabs.open(java_script_enabled=False)

    page.click("#tools-link")
    page.click("[role=switch]")
    page.click("main .button-primary")
    page.fill("#text", "Hello")
    page.click("[data-send]")

    until(lambda: server.requests)
    assert server.requests[0].tool_names == []
