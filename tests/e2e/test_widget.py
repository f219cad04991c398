"""The chat in a corner of a page of the site."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from tests.servers.scripted_replies import text

from .conftest import Tabs
from .test_chat import until

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Page

pytestmark = pytest.mark.django_db(transaction=True)

BUTTON = "button.launch"
RUDE_STYLE = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`a, button, iframe, section, aside { display: none !important; }
        * { color: red !important; font-size: 3px !important; box-sizing: content-box; }`);
    document.adoptedStyleSheets = [sheet];
}"""


@pytest.fixture
def host(tabs: Tabs) -> Callable[..., "Page"]:
    """A page of the site with the chat in its corner."""

    def opened(**options: Any) -> "Page":
        return tabs.open(reverse("example"), ready=BUTTON, **options)

    return opened


def chat_in(page: "Page") -> "Frame":
    frame = page.wait_for_selector("iframe").content_frame()
    frame.wait_for_selector("[data-theme-button]:not([hidden])", state="attached")
    return frame


def test_the_chat_opens_over_the_page_and_is_there_on_the_next_one(host: Any, model: Any) -> None:
    model([text("Hello from the corner.")])
    page = host()
    assert page.locator("iframe").count() == 0
    page.focus(BUTTON)
    page.keyboard.press("Enter")
    frame = chat_in(page)
    assert page.get_attribute(BUTTON, "aria-expanded") == "true"
    until(lambda: frame.evaluate("document.activeElement.id") == "text")

    page.keyboard.type("Hello")
    page.keyboard.press("Enter")
    frame.wait_for_selector("text=Hello from the corner.")
    page.click("main a")
    page.wait_for_url(lambda url: url.endswith("page=2"))
    frame = chat_in(page)
    frame.wait_for_selector("text=Hello from the corner.")

    assert page.evaluate("document.activeElement.tagName") == "BODY"
    page.click(".close")
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.className") == "launch"
    page.reload()
    page.wait_for_selector(BUTTON)
    assert page.locator("iframe").count() == 0


def test_the_pages_own_style_does_not_reach_it(host: Any) -> None:
    page = host(viewport={"width": 375, "height": 700})
    page.evaluate(RUDE_STYLE)
    page.click(BUTTON)
    frame = chat_in(page)

    box = page.locator(".panel").bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 375, 700)
    assert frame.locator("#text").is_visible()
    assert not frame.locator("[data-logout]").is_visible()
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_it_stands_at_the_left_where_people_read_to_the_left(host: Any) -> None:
    page = host(viewport={"width": 1000, "height": 700}, locale="ar")
    page.click(BUTTON)
    chat_in(page)

    assert page.locator(".panel").bounding_box()["x"] == 16


def test_without_javascript_it_is_a_link_to_the_chat(host: Any) -> None:
    page = host(java_script_enabled=False)
    page.click("a.launch")

    assert page.url.endswith(reverse("chat:index"))


def test_who_is_logged_out_meanwhile_is_led_to_the_login(host: Any, tabs: Tabs) -> None:
    page = host()
    page.context.clear_cookies()
    page.click(BUTTON)
    page.wait_for_url("**/login/**")

    # The browser says that it did not show the login in the frame.
    tabs.trouble[:] = [each for each in tabs.trouble if "frame" not in each.lower()]
