"""The cards of tool calls in a real browser: groups, times, and whole results opened in place."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, text

from .conftest import Tabs
from .test_chat import until, wait_for_answer, words

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Send = Callable[[Page, str], None]

pytestmark = pytest.mark.django_db(transaction=True)

STOCK = [{"sku": f"MUG-{number}", "left": number} for number in range(150)]


def focus(page: "Page") -> str:
    return str(page.evaluate("document.activeElement.className || document.activeElement.id"))


def test_calls_of_one_answer_are_a_line_that_tells_how_they_are(
    page: "Page", model: Any, shop: Any, send: "Send"
) -> None:
    release = threading.Event()

    async def count(arguments: Any, session: Any) -> str:
        while not release.is_set():
            await anyio.sleep(0.01)
        return "done"

    shop(Offer("count", title="Count", handler=count), Offer("stock", handler=lambda _: "7"))
    model([calls(("shop__count", {}), ("shop__stock", {"sku": "MUG"})), text("Counted.")])
    send(page, "Count")

    page.wait_for_selector(".call-group[open] [data-runs-for]:not(:empty)")
    until(lambda: page.locator(".call-succeeded").count() == 1)
    assert words(page, ".call-group > summary") == "2 calls Count, stock"
    until(lambda: "Running · 1 s" in words(page, ".call-running summary"))
    release.set()
    wait_for_answer(page)

    assert page.locator(".call-group").get_attribute("open") is None
    assert page.inner_text(".call-group > summary .call-state").endswith("s")
    page.click(".call-group > summary")
    assert words(page, ".call:nth-child(2) summary").startswith("stock Shop MUG Succeeded")


def test_a_whole_result_is_opened_searched_and_left_without_leaving_the_page(
    page: "Page", model: Any, shop: Any, send: "Send"
) -> None:
    shop(Offer("stock", handler=lambda arguments: {"rows": STOCK}))
    model([calls(("shop__stock", {})), text("There are many.")])
    send(page, "How many?")
    wait_for_answer(page)
    page.click(".call summary")
    assert page.locator(".call tbody tr").count() == 6
    assert "144 more rows" in words(page, ".call-body")

    page.click("[data-opens-viewer]")
    page.wait_for_selector("#viewer[open] tbody tr")
    assert page.locator("#viewer tbody tr").count() == 101
    page.click("text=Show more rows")
    until(lambda: page.locator("#viewer tbody tr").count() == 150)
    page.fill("#viewer [type=search]", "mug-14")
    until(lambda: words(page, "#result-found") == "11 rows found")
    page.click("#viewer >> text=Tree")
    page.wait_for_selector("#viewer .places mark")
    page.click("#viewer .places a >> nth=0")
    page.wait_for_selector("#viewer .result-path")
    with page.expect_download() as download:
        page.click("#viewer >> text=JSON")
    assert download.value.suggested_filename.startswith("shop__stock-")
    page.keyboard.press("Escape")
    page.wait_for_selector("#viewer", state="hidden")

    assert focus(page) == "open-result"
    assert page.locator("#viewer-content *").count() == 0


@pytest.mark.usefixtures("executor")
def test_a_result_is_opened_searched_and_paged_without_javascript(
    tabs: Tabs, paths: dict[str, str]
) -> None:
    page = tabs.open(paths["result"], java_script_enabled=False)
    page.click("text=Tree")
    page.fill("[type=search]", "grey")
    page.press("[type=search]", "Enter")

    assert words(page, "#result-found") == "1 place found"
    page.click(".places a")
    assert words(page, ".tree") == '"Grey mug"'
    page.click("[aria-label='Back to the conversation']")
    assert "#call-" in page.url
