"""Other answers, edited messages, steps between them, and what stands below an answer."""

import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from chat.models import Conversation, ToolCall, Turn
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, text

from .conftest import Tabs
from .test_chat import until, wait_for_answer, words

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Send = Callable[[Page, str], None]

pytestmark = pytest.mark.django_db(transaction=True)

AGAIN = ".turn:last-child .turn-tools [aria-label='Answer again']"
CLIPBOARD = {"permissions": ["clipboard-read", "clipboard-write"]}


def answers(page: "Page") -> list[str]:
    return [" ".join(each.split()) for each in page.locator(".markdown").all_inner_texts() if each]


def step(page: "Page", where: str, direction: str) -> None:
    """Press the stepper of the first place that `where` selects, and wait for what it brings."""
    before = page.inner_text(f"{where} .stepper-at")
    page.locator(f"{where} .stepper button[aria-label={direction}]").first.click()
    until(lambda: page.locator(f"{where} .stepper-at").first.inner_text() != before)


def test_another_answer_stands_beside_the_first_and_both_can_be_stepped_to(
    page: "Page", model: Any, send: "Send"
) -> None:
    model([text("First."), text("Later."), text("Second."), text("After the second.")])
    send(page, "One?")
    wait_for_answer(page)
    send(page, "Two?")
    wait_for_answer(page)

    page.hover(".turn:first-child")
    page.click(".turn:first-child .turn-tools [aria-label='Answer again']")
    page.wait_for_selector(".turn-tools .stepper")
    wait_for_answer(page)
    assert answers(page) == ["Second."]
    assert words(page, ".stepper-at") == "2 / 2"
    send(page, "And now?")
    wait_for_answer(page)
    assert answers(page) == ["Second.", "After the second."]

    step(page, ".turn-tools", "Previous")
    assert answers(page) == ["First.", "Later."]
    page.wait_for_selector(".turn-tools .stepper [aria-label=Next]:focus")
    step(page, ".turn-tools", "Next")
    page.reload()

    assert answers(page) == ["Second.", "After the second."]


def test_an_edited_message_is_sent_in_the_place_of_the_first(
    page: "Page", model: Any, send: "Send"
) -> None:
    model([text("Blue: 7."), text("Red: 3."), text("Both: 10.")])
    send(page, "How many blue ones?")
    wait_for_answer(page)

    page.press("#text", "ArrowUp")
    page.wait_for_selector(".edit-form textarea:focus")
    page.press(".edit-form textarea", "Escape")
    assert page.locator(".edit-form").count() == 0
    page.click("[data-edit-last]")
    page.fill(".edit-form textarea", " ")
    page.click(".edit-form .button-primary")
    assert "Write a message first" in page.locator(".edit-form .error").inner_text()
    page.fill(".edit-form textarea", "How many red ones?")
    page.press(".edit-form textarea", "Enter")
    page.wait_for_selector(".message-tools .stepper")
    wait_for_answer(page)

    assert (words(page, ".message-user .plain"), answers(page)) == (
        "How many red ones?",
        ["Red: 3."],
    )
    step(page, ".message-tools", "Previous")
    assert (words(page, ".message-user .plain"), answers(page)) == (
        "How many blue ones?",
        ["Blue: 7."],
    )
    send(page, "And in all?")
    wait_for_answer(page)
    assert Turn.objects.latest("created_at").parent == Turn.objects.earliest("created_at")


def test_two_tabs_that_answer_again_at_once_are_told_apart(
    tabs: Tabs, model: Any, send: "Send"
) -> None:
    permits = threading.Semaphore(0)
    model([text("First."), text("One two three").paced(permits)])
    page = tabs.open()
    send(page, "Hello")
    wait_for_answer(page)
    other = tabs.open(f"/chat/conversations/{Conversation.objects.get().pk}/")

    page.click(AGAIN)
    page.wait_for_selector("[data-stop]")
    other.click(AGAIN)
    other.wait_for_selector("#composer-error .error")

    assert "still answering" in words(other, "#composer-error")
    for _ in range(9):
        permits.release()
    wait_for_answer(page)
    assert Turn.objects.count() == 2


def test_what_changed_something_is_said_before_another_answer(
    page: "Page", model: Any, shop: Any, send: "Send"
) -> None:
    shop(Offer("order", title="Order", handler=lambda arguments: "ordered"))
    model([calls(("shop__order", {"sku": "MUG"})), text("Ordered."), text("I would order it.")])
    send(page, "Order a mug")
    wait_for_answer(page)

    page.click(AGAIN)
    page.wait_for_selector(".confirm:popover-open")
    assert "1 call of this answer changed something" in words(page, ".confirm")
    page.keyboard.press("Escape")
    page.wait_for_selector(".confirm", state="hidden")
    page.click(AGAIN)
    page.click(".confirm .button-primary")
    page.wait_for_selector(".stepper")
    wait_for_answer(page)

    assert answers(page) == ["I would order it."]
    assert ToolCall.objects.count() == 1


def test_an_answer_at_its_limit_goes_on_with_one_click(
    page: "Page", model: Any, send: "Send"
) -> None:
    server = model([text("Half an", finish="length"), text("answer.")])
    send(page, "Write")
    wait_for_answer(page)
    assert "length limit" in words(page, ".turn-notice")

    page.click(".go-on button")
    page.wait_for_selector(".turn:nth-child(2)")
    wait_for_answer(page)

    assert answers(page) == ["Half an", "answer."]
    assert not page.locator(".go-on").first.is_visible()
    assert "Go on from exactly there" in server.requests[-1].messages[-1]["content"]


def test_messages_are_copied_as_they_were_written(tabs: Tabs, model: Any, send: "Send") -> None:
    source = "# Mugs\n\n- **7** blue\n- `red`"
    model([text(source)])
    page = tabs.open(**CLIPBOARD)
    send(page, "How *many*?")
    wait_for_answer(page)

    page.click("[data-copy-answer]")
    until(lambda: page.inner_text("#status") == "Copied")
    assert page.evaluate("navigator.clipboard.readText()") == source
    page.click("[data-copy-message]")
    page.wait_for_selector("[data-copy-message][data-said=copied]")

    assert page.evaluate("navigator.clipboard.readText()") == "How *many*?"


def test_an_answer_leads_to_the_results_that_it_could_use(
    page: "Page", model: Any, shop: Any, send: "Send"
) -> None:
    shop(Offer("stock", title="Check stock", handler=lambda arguments: {"stock": 7}))
    wanted = [("shop__stock", {"sku": "A"}), ("shop__stock", {"sku": "B"})]
    model([calls(*wanted), text("7 and 7.")])
    send(page, "How many?")
    wait_for_answer(page)

    assert words(page, ".sources") == "Based on: Shop · Check stock Check stock 2"
    page.click(".source a:nth-child(2)")

    second = ToolCall.objects.order_by("pk")[1]
    assert page.locator(f"#call-{second.pk}").get_attribute("open") is not None
    assert page.evaluate("document.activeElement.parentElement.id") == f"call-{second.pk}"
    page.click(".facts summary")
    assert re.search(r"Model default Tokens in \d+ Tokens out \d+", words(page, ".facts"))


def test_without_javascript_answers_are_had_again_and_messages_edited(
    tabs: Tabs, model: Any
) -> None:
    model([text("First."), text("Second."), text("Third.")])
    page = tabs.open(java_script_enabled=False)
    page.fill("#text", "One?")
    page.click("[data-send]")
    page.wait_for_selector("text=First.")

    page.click(AGAIN)
    page.wait_for_selector("text=Second.")
    wait_for_answer(page)
    page.click("[aria-label='Previous']")
    page.wait_for_selector("text=First.")
    page.click("[data-edit-last]")
    page.fill(".edit-form textarea", "Two?")
    page.click(".edit-form .button-primary")
    page.wait_for_selector("text=Third.")

    assert words(page, ".message-user .plain") == "Two?"
