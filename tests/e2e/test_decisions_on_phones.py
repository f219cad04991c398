"""Cards that ask, on screens of every size, in a real browser."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import Tabs
from .test_chat import PHONE, until, wait_for_answer, wait_for_card

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Send = Callable[[Page, str], None]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("width", [320, 375, 1440])
def test_no_card_is_wider_than_its_screen_and_every_target_is_large_enough(
    tabs: Tabs, shopping: Any, send: "Send", width: int
) -> None:
    shopping(arguments={"sku": "M" * 300, "count": 2})
    page = tabs.open(viewport={"width": width, "height": 800})
    send(page, "Order two mugs")
    wait_for_card(page)
    small = """selector => [...document.querySelectorAll(selector)].filter(each => {
        const target = /radio|checkbox|file/.test(each.type) ? each.labels[0] : each;
        const box = target.getBoundingClientRect();
        return box.width && (box.height < 24 || box.width < 24);
    }).map(each => each.outerHTML)"""

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(small, "main :is(button, input, textarea, select, a, summary)") == []
    page.goto(page.url.split("/chat/")[0] + "/chat/inbox/")
    page.wait_for_selector(".ask-form")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(small, "main :is(button, input, textarea, select, a, summary)") == []


def test_on_a_phone_the_beginning_of_what_is_asked_is_in_sight(
    tabs: Tabs, shopping: Any, send: "Send"
) -> None:
    shopping()
    page = tabs.open(**PHONE)
    send(page, "Order two mugs")
    wait_for_card(page)
    place = """() => {
        const edge = selector => document.querySelector(selector).getBoundingClientRect().top;
        return edge(".call-asks summary") - edge("#scroll");
    }"""

    until(lambda: 0 <= page.evaluate(place) < 100)
    page.tap("text=Allow once")
    wait_for_answer(page)

    until(lambda: not page.locator("#jump").is_visible())
