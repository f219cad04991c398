"""What a person does in the chat, in a real browser."""

import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from chat.models import Message, Turn
from tests.chat.hostile import HOSTILE_TEXTS
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, status, text
from tests.servers.site import Site

from .conftest import Tabs

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Send = Callable[[Page, str], None]

pytestmark = pytest.mark.django_db(transaction=True)

PHONE = {"viewport": {"width": 375, "height": 720}, "has_touch": True, "is_mobile": True}
LONG = "\n\n".join(f"Paragraph {number} of a long answer." for number in range(60))


def wait_for_answer(page: "Page") -> None:
    page.wait_for_selector("[data-send]")
    page.wait_for_selector("[data-activity]", state="hidden")


def wait_for_card(page: "Page") -> None:
    page.wait_for_selector(".call-waiting[open] .ask-form")
    page.wait_for_selector("[data-activity][data-state=waiting]")


def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition; the pages' policy lets no test wait in the browser."""
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end, "it never came true"
        threading.Event().wait(0.01)


def words(page: "Page", selector: str) -> str:
    return " ".join(page.inner_text(selector).split())


def test_a_person_logs_in_asks_and_watches_a_tool_answer(
    chromium: Any, site: Site, user: Any, model: Any, shop: Any, send: "Send"
) -> None:
    is_watched = threading.Event()

    def stock(arguments: Any) -> Any:
        is_watched.wait(15)
        return {"stock": 7}

    shop(Offer("stock", title="Check stock", handler=stock))
    model([calls(("shop__stock", {"sku": "MUG-BLUE"})), text("There are **7** blue mugs.")])
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(site.url)
        page.fill("[name=username]", "ann")
        page.fill("[name=password]", "password")
        page.press("[name=password]", "Enter")
        page.wait_for_selector("[data-theme-button]:not([hidden])")
        send(page, "How many blue mugs are in stock?")
        page.wait_for_selector(".call-running")
        is_watched.set()
        wait_for_answer(page)

        assert words(page, ".message-user") == "How many blue mugs are in stock?"
        assert words(page, ".markdown:not(:empty)") == "There are 7 blue mugs."
        assert page.inner_text(".markdown strong") == "7"
        assert words(page, ".call summary").startswith("Check stock Shop MUG-BLUE Succeeded")
        assert page.locator(".call").get_attribute("open") is None
        until(lambda: page.inner_text("#status") == "Done")
        assert page.evaluate("document.activeElement.id") == "text"
        assert page.inner_text("#history [aria-current]") == "How many blue mugs are in stock?"
        page.click(".call summary")
        assert "Result Open the whole result stock 7" in words(page, ".call-body")


def test_text_is_there_while_the_model_still_writes(page: "Page", model: Any, send: "Send") -> None:
    permits = threading.Semaphore(3)
    model([text("# Mugs\n\nThe first words", pieces=2).paced(permits)])
    send(page, "Hello")

    page.wait_for_selector(".tail:not(:empty)")
    assert page.locator("[data-stop]").is_visible()
    assert words(page, "[data-activity]") == "Answering"
    for _ in range(10):
        permits.release()
    wait_for_answer(page)

    assert page.inner_text(".markdown h1") == "Mugs"
    assert page.locator(".tail").count() == 0


def test_a_second_message_joins_the_conversation_without_a_new_page(
    page: "Page", model: Any, send: "Send"
) -> None:
    model([text("First answer."), text("Second answer.")])
    send(page, "First?")
    wait_for_answer(page)
    page.evaluate("window.stillHere = true")

    send(page, "Second?")
    wait_for_answer(page)

    assert page.evaluate("window.stillHere")
    assert page.input_value("#text") == ""
    assert [words(page, f".turn:nth-child({n})").split(" answer.")[0] for n in (1, 2)] == [
        "First? First",
        "Second? Second",
    ]


def test_a_tool_that_fails_is_open_and_says_why(
    page: "Page", model: Any, shop: Any, send: "Send"
) -> None:
    def fail(arguments: Any) -> Any:
        raise RuntimeError("The supplier is closed")

    shop(Offer("supplier", handler=fail))
    model([calls(("shop__supplier", {})), text("It failed.")])
    send(page, "Ask the supplier")
    wait_for_answer(page)

    assert page.locator(".call").get_attribute("open") is not None
    assert "Failed" in words(page, ".call summary")
    assert "The supplier is closed" in words(page, ".call-body")


def test_progress_of_a_tool_is_seen_while_it_runs(
    page: "Page", model: Any, shop: Any, send: "Send"
) -> None:
    release = threading.Event()

    async def count(arguments: Any, session: Any) -> str:
        await session.report_progress(1, 4, "One of four")
        while not release.is_set():
            await anyio.sleep(0.01)
        return "done"

    shop(Offer("count", title="Count", handler=count))
    model([calls(("shop__count", {})), text("Counted.")])
    send(page, "Count")

    page.wait_for_selector("[data-progress]:not([hidden])")
    assert words(page, "[data-progress-words]") == "One of four"
    assert page.evaluate("document.querySelector('progress').value") == 0.25
    assert words(page, "[data-activity]") == "Running Count"
    release.set()
    wait_for_answer(page)

    assert page.locator("[data-progress]").count() == 0


def test_an_answer_that_failed_is_tried_again_with_one_click(
    page: "Page", model: Any, send: "Send"
) -> None:
    model([status(400), text("Now it works.")])
    send(page, "Hello")
    page.wait_for_selector(".go-on button")
    assert words(page, ".turn-notice")

    page.click(".go-on button")
    page.wait_for_selector(".turn:nth-child(2)")
    wait_for_answer(page)

    assert words(page, ".turn:nth-child(2) .markdown") == "Now it works."
    assert not page.locator(".go-on button").is_visible()
    assert Message.objects.filter(role="user").count() == 1


def test_a_page_that_is_loaded_in_the_middle_shows_the_whole_answer(
    page: "Page", model: Any, send: "Send"
) -> None:
    permits = threading.Semaphore(5)
    model([text("One two three four five").paced(permits)])
    send(page, "Count")
    page.wait_for_selector(".tail:not(:empty)")

    page.reload()
    page.wait_for_selector(".tail:not(:empty)")
    for _ in range(10):
        permits.release()
    wait_for_answer(page)

    assert words(page, ".markdown") == "One two three four five"


def test_a_stream_goes_on_after_the_site_was_away(
    tabs: Tabs, model: Any, send: "Send", user: Any
) -> None:
    permits = threading.Semaphore(3)
    model([text("One two three four five").paced(permits)])
    first = Site()
    with first:
        tabs.site = first
        for cookie in tabs.cookies:
            cookie["url"] = first.url
        page = tabs.open()
        send(page, "Count")
        page.wait_for_selector(".tail:not(:empty)")
    until(lambda: "lost" in words(page, "[data-activity]"))
    with Site(first.port):
        for _ in range(10):
            permits.release()
        wait_for_answer(page)

        assert words(page, ".markdown") == "One two three four five"
        page.context.close()


def test_a_hidden_tab_lets_its_stream_go_and_catches_up(
    page: "Page", model: Any, send: "Send"
) -> None:
    hide = """hidden => {
        Object.defineProperty(document, "hidden", {configurable: true, get: () => hidden});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    permits = threading.Semaphore(3)
    model([text("One two three four five").paced(permits)])
    send(page, "Count")
    page.wait_for_selector(".tail:not(:empty)")

    page.evaluate(hide, True)
    for _ in range(10):
        permits.release()
    until(lambda: Turn.objects.get().finished)
    assert page.locator("[data-stop]").is_visible()
    page.evaluate(hide, False)
    wait_for_answer(page)

    assert words(page, ".markdown") == "One two three four five"


def test_the_log_follows_its_end_until_the_reader_goes_up(
    page: "Page", model: Any, send: "Send"
) -> None:
    permits = threading.Semaphore(0)
    model([text(LONG, pieces=60).paced(permits)])

    def place() -> float:
        return float(page.evaluate("document.getElementById('scroll').scrollTop"))

    send(page, "Write a lot")
    until(lambda: permits.release() or place() > 100)

    page.hover("#log")
    page.mouse.wheel(0, -2000)
    until(lambda: place() == 0)
    for _ in range(60):
        permits.release()
    wait_for_answer(page)
    assert place() == 0
    page.click("#jump")

    until(lambda: place() > 100)
    assert not page.locator("#jump").is_visible()


def test_without_javascript_the_answer_comes_by_reload(tabs: Tabs, model: Any) -> None:
    model([text("There are **7**.")])
    page = tabs.open(java_script_enabled=False)
    page.fill("#text", "How many?")
    page.click("[data-send]")

    page.wait_for_selector(".message-assistant strong")

    assert words(page, ".message-user") == "How many?"


@pytest.mark.parametrize("width", [320, 375, 768, 1440])
def test_no_page_is_wider_than_its_screen(
    tabs: Tabs, model: Any, shop: Any, send: "Send", width: int
) -> None:
    shop(Offer("stock", handler=lambda arguments: {"x" * 200: "y" * 200}))
    table = "| a | b | c |\n|---|---|---|\n" + f"| {'wide' * 40} | 2 | 3 |"
    answer = f"{'w' * 300}\n\n{table}\n\n```py\n{'code ' * 100}\n```"
    model([calls(("shop__stock", {"a" * 100: "b" * 300})), text(answer)])
    page = tabs.open(viewport={"width": width, "height": 700})

    def overflow() -> bool:
        return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))

    assert not overflow()
    send(page, "x" * 500)
    page.wait_for_selector(".code-block")
    wait_for_answer(page)
    page.click(".call summary")

    assert not overflow()
    assert page.evaluate("document.getElementById('log').clientWidth") <= width


def test_on_a_phone_the_list_of_conversations_is_a_drawer(
    tabs: Tabs, model: Any, send: "Send"
) -> None:
    model([text("Hello.")])
    page = tabs.open(**PHONE)
    send(page, "My first question")
    wait_for_answer(page)
    assert not page.locator("#drawer").is_visible()

    page.tap(".drawer-open")
    page.wait_for_selector("#drawer", state="visible")
    assert "My first question" in words(page, "#history")
    page.keyboard.press("Escape")

    page.wait_for_selector("#drawer", state="hidden")


def test_the_colours_are_a_choice_that_lasts(tabs: Tabs) -> None:
    page = tabs.open(color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.click("[data-theme-button]")
    page.click("[data-theme-button]")
    assert page.get_attribute("[data-theme-button]", "title") == "Colours: dark"
    page.reload()

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_code_is_copied_with_one_click(tabs: Tabs, model: Any, send: "Send") -> None:
    model([text("```py\nprint(1)\n```")])
    page = tabs.open(permissions=["clipboard-read", "clipboard-write"])
    send(page, "Code, please")
    wait_for_answer(page)

    page.click(".copy-button")
    until(lambda: words(page, ".copy-button") == "Copied")

    assert page.evaluate("navigator.clipboard.readText()") == "print(1)\n"


def test_hostile_text_runs_and_loads_nothing(
    tabs: Tabs, model: Any, shop: Any, send: "Send"
) -> None:
    everything = "\n\n".join(HOSTILE_TEXTS)
    shop(Offer("echo", title="<img src=x onerror=alert(1)>", handler=lambda arguments: everything))
    model([calls(("shop__echo", {"text": everything})), text(everything, pieces=200)])
    page = tabs.open()
    send(page, everything)
    wait_for_answer(page)
    page.reload()
    page.click(".call summary")
    page.wait_for_selector(".call[open] pre")

    assert page.locator("#log :is(img, iframe, object, embed, style, script)").count() == 0
    hrefs = page.eval_on_selector_all("#log a", "links => links.map(link => link.href)")
    assert hrefs and all(re.match("https?://", href) for href in hrefs)
    assert tabs.trouble == []


def test_the_whole_chat_works_under_wsgi(
    chromium: Any, live_server: Any, user: Any, client: Any, model: Any, send: "Send"
) -> None:
    model([text("Hello from a thread.")])
    client.force_login(user)
    with chromium.new_context() as context:
        for name, morsel in client.cookies.items():
            context.add_cookies([{"name": name, "value": morsel.value, "url": live_server.url}])
        page = context.new_page()
        page.goto(live_server.url + "/chat/")
        page.wait_for_selector("[data-theme-button]:not([hidden])")
        send(page, "Hello")
        wait_for_answer(page)

        assert words(page, ".markdown") == "Hello from a thread."
