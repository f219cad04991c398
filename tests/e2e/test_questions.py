"""What a tool's server asks a person, in a real browser."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from chat.models import Question
from tests.chat.deciding import (
    PAGE,
    asking_for_a_visit,
    asking_for_contact,
    asking_two_things,
    holding_for_contact,
)
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, text

from .test_chat import until, wait_for_answer, wait_for_card, words

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Send = Callable[[Page, str], None]

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_servers_question_is_answered_in_its_form(
    page: "Page", shopping: Any, send: "Send"
) -> None:
    shopping(asking_for_contact(), {})
    send(page, "Contact them")
    wait_for_card(page)
    page.click("text=Allow once")
    page.wait_for_selector("text=Who are you?")

    page.click("text=Send the answer")
    page.wait_for_selector("text=This is needed.")
    page.get_by_label("Mail").fill("ada@example.com")
    page.get_by_label("large").check()
    page.get_by_label("Days").fill("3")
    page.click("text=Send the answer")
    wait_for_answer(page)

    expected = {"name": "Ada", "mail": "ada@example.com", "size": "large", "days": 3}
    assert Question.objects.get().content == expected
    page.click(".call summary")
    assert '"mail": "ada@example.com"' in words(page, ".call-body")


def test_a_server_that_holds_the_call_is_answered_in_the_same_form(
    page: "Page", shopping: Any, send: "Send"
) -> None:
    shopping(holding_for_contact(), {}, legacy_only=True)
    send(page, "Contact them")
    wait_for_card(page)
    page.click("text=Allow once")
    page.wait_for_selector("text=Who are you?")
    until(lambda: words(page, "[data-activity]") == "Needs your answer")
    until(lambda: words(page, "#inbox-link").startswith("Inbox 1"))
    assert page.locator("[data-stop]").is_visible()

    page.get_by_label("Mail").fill("ada@example.com")
    page.reload()
    page.wait_for_selector("text=Who are you?")
    assert words(page, "[data-activity]") == "Needs your answer"
    page.click("text=Send the answer")
    page.wait_for_selector("text=This is needed.")
    page.get_by_label("Mail").fill("ada@example.com")
    page.click("text=Send the answer")
    wait_for_answer(page)

    assert words(page, ".turn .markdown:not(:empty)") == "All done."
    question = Question.objects.get()
    assert (question.round, question.content["mail"]) == (Question.HELD, "ada@example.com")
    until(lambda: "1" not in words(page, "#inbox-link"))


def test_another_calls_end_takes_nobody_away_from_what_a_server_asks(
    page: "Page", model: Any, shop: Any, send: "Send"
) -> None:
    may_end = threading.Event()
    slow = Offer("slow", handler=lambda arguments: str(may_end.wait(20)))
    shop(holding_for_contact(), slow, legacy_only=True)
    long = text("word " * 1_500)
    model([long, calls(("shop__contact", {}), ("shop__slow", {})), text("All done.")])
    page.set_viewport_size({"width": 900, "height": 500})
    send(page, "Talk")
    wait_for_answer(page)
    send(page, "Contact them")
    page.wait_for_selector("text=Who are you?")
    page.get_by_label("Mail").fill("ada@example.com")
    page.evaluate("document.querySelector('#scroll').scrollTop = 0")

    may_end.set()
    until(lambda: page.locator(".call-succeeded").count() == 1)

    assert words(page, "[data-activity]:not([hidden])") == "Needs your answer"
    assert page.evaluate("document.querySelector('#scroll').scrollTop") == 0
    assert page.get_by_label("Mail").input_value() == "ada@example.com"
    page.click("text=Decline")
    wait_for_answer(page)


def test_an_answer_to_one_question_keeps_what_is_typed_for_another(
    page: "Page", shopping: Any, send: "Send"
) -> None:
    shopping(asking_two_things(), {})
    send(page, "Ask me")
    wait_for_card(page)
    page.click("text=Allow once")
    page.wait_for_selector("text=Last word?")
    first, last = page.locator(".ask").all()

    last.get_by_label("Word").fill("Omega")
    first.get_by_label("Word").fill("Alpha")
    first.get_by_text("Send the answer").click()
    until(lambda: page.locator(".ask").count() == 1)
    until(lambda: page.get_by_label("Word").input_value() == "Omega")
    page.click("text=Send the answer")
    wait_for_answer(page)

    answers = dict(Question.objects.values_list("key", "content"))
    assert answers == {"First": {"word": "Alpha"}, "Last": {"word": "Omega"}}


def test_a_page_of_a_server_is_opened_by_the_person_alone(
    page: "Page", shopping: Any, send: "Send"
) -> None:
    shopping(asking_for_a_visit(), {})
    send(page, "Pay")
    wait_for_card(page)
    page.click("text=Allow once")
    page.wait_for_selector(".ask-address a")

    link = page.locator(".ask-address a")
    assert link.get_attribute("href") == PAGE
    assert link.get_attribute("rel") == "noopener noreferrer"
    assert "pay.example.com" in words(page, ".ask strong")
    page.click("text=I have done it")
    wait_for_answer(page)

    assert Question.objects.get().status == Question.Status.ACCEPTED
