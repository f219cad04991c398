"""The field that messages are written in, in a real browser."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from chat.models import Message, Turn
from tests.servers.scripted_replies import text

from .conftest import Tabs, cookies_of
from .test_chat import wait_for_answer, words

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Send = Callable[[Page, str], None]

pytestmark = pytest.mark.django_db(transaction=True)


def test_enter_sends_shift_enter_does_not_and_nor_does_an_input_method(
    page: "Page", model: Any
) -> None:
    model(text("Yes."))
    page.fill("#text", "one")
    page.press("#text", "Shift+Enter")
    page.type("#text", "two")
    page.evaluate(
        """() => document.getElementById("text").dispatchEvent(new KeyboardEvent(
            "keydown", {key: "Enter", isComposing: true, bubbles: true, cancelable: true}))"""
    )
    assert Message.objects.count() == 0

    page.press("#text", "Enter")
    page.wait_for_selector(".turn")
    wait_for_answer(page)

    assert Message.objects.first().content == "one\ntwo"  # type: ignore[union-attr]


def test_the_field_grows_with_its_text(page: "Page") -> None:
    def height() -> float:
        return float(page.evaluate("document.getElementById('text').clientHeight"))

    small = height()
    page.fill("#text", "line\n" * 5)
    grown = height()
    page.fill("#text", "line\n" * 200)

    assert small < grown < height() < 300


def test_stop_takes_the_place_of_send_and_stops(page: "Page", model: Any, send: "Send") -> None:
    permits = threading.Semaphore(3)
    model([text("The answer is long").paced(permits)])
    send(page, "Tell me everything")
    page.wait_for_selector(".tail:not(:empty)")

    page.click("[data-stop]")
    wait_for_answer(page)

    assert Turn.objects.get().status == Turn.Status.CANCELLED
    assert "You stopped this answer." in words(page, ".turn-foot")
    assert "The answer breaks off here." in words(page, ".message-assistant")
    assert page.locator(".go-on button").is_visible()


def test_a_message_that_is_too_long_is_refused_and_stays(
    page: "Page", model: Any, send: "Send"
) -> None:
    model([text("Hello.")], MAX_MESSAGE_CHARACTERS=50)
    send(page, "Hello")
    wait_for_answer(page)

    page.fill("#text", "x" * 60)
    page.press("#text", "Enter")
    page.wait_for_selector("#composer-error .error")

    assert "60 characters" in words(page, "#composer-error")
    assert page.input_value("#text") == "x" * 60
    page.fill("#text", "short")
    assert Turn.objects.count() == 1


def test_a_first_message_of_megabytes_is_refused_and_stays(page: "Page", model: Any) -> None:
    model([text("Hello.")])
    huge = "ä" * 500_000  # three megabytes in a form's coding, more than Django takes

    page.evaluate("text => { document.getElementById('text').value = text }", huge)
    page.press("#text", "Enter")
    page.wait_for_selector("#composer-error .error")

    assert words(page, "#composer-error") == "The message is too large. Send less text."
    assert page.input_value("#text") == huge
    page.fill("#text", "Hello")
    page.press("#text", "Enter")
    wait_for_answer(page)
    assert Turn.objects.count() == 1


def test_a_draft_waits_in_its_conversation_over_a_reload_and_goes_when_it_is_sent(
    tabs: Tabs, model: Any, send: "Send"
) -> None:
    model(text("Yes."))
    page = tabs.open()
    page.fill("#text", "for a new one")
    page.reload()
    page.wait_for_selector("[data-theme-button]:not([hidden])")
    assert page.input_value("#text") == "for a new one"
    page.press("#text", "Enter")
    wait_for_answer(page)
    assert page.input_value("#text") == ""

    page.fill("#text", "for this one")
    page.goto(f"{tabs.site.url}/chat/")
    elsewhere = page.input_value("#text")
    page.go_back()
    page.wait_for_selector("[data-theme-button]:not([hidden])")

    assert elsewhere == ""
    assert page.input_value("#text") == "for this one"
    send(page, "for this one")
    wait_for_answer(page)
    page.reload()
    assert page.input_value("#text") == ""


def test_a_draft_goes_with_its_person(tabs: Tabs, django_user_model: Any, client: Any) -> None:
    page = tabs.open()
    page.fill("#text", "ann's own")
    client.force_login(django_user_model.objects.create_user("bob"))
    page.context.add_cookies(cookies_of(client, tabs.site))
    page.goto(f"{tabs.site.url}/chat/")
    page.wait_for_selector("[data-theme-button]:not([hidden])")
    assert page.input_value("#text") == ""
    assert page.evaluate("localStorage.length") == 0

    page.fill("#text", "bob's own")
    page.click("[data-logout] button")
    page.wait_for_selector("[name=password]")

    assert page.evaluate("localStorage.length") == 0


def test_a_message_that_could_not_be_sent_stays_as_a_draft(
    page: "Page", model: Any, send: "Send"
) -> None:
    model(text("Yes."))
    send(page, "Hello")
    wait_for_answer(page)

    page.route("**/send/", lambda route: route.fulfill(status=422))
    page.fill("#text", "precious")
    with page.expect_response("**/send/"):
        page.press("#text", "Enter")
    page.reload()

    assert page.input_value("#text") == "precious"


def test_up_in_an_empty_field_takes_the_last_message_up(page: "Page") -> None:
    page.evaluate(
        """() => { for (const name of ["first", "last"]) {
            const button = document.createElement("button");
            button.dataset.editLast = "";
            button.addEventListener("click", () => (document.title = name));
            document.getElementById("main").append(button);
        } }"""
    )
    page.fill("#text", "typed")
    page.press("#text", "ArrowUp")
    assert page.title() != "last"

    page.fill("#text", "")
    page.press("#text", "ArrowUp")

    assert page.title() == "last"
