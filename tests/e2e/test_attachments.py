"""Files sent along with a message, in a real browser: picked, dropped, pasted, and taken back."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from chat.models import Attachment, Turn
from tests.servers.scripted_replies import text

from .conftest import Tabs
from .test_chat import until, wait_for_answer, words
from .test_files import png

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Send = Callable[[Page, str], None]

pytestmark = pytest.mark.django_db(transaction=True)


def bring(page: "Page", event: str, name: str, data: bytes) -> None:
    """Drop or paste a file, as the browser tells the page of it."""
    page.evaluate(
        """([event, name, bytes]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], name));
            const init = { bubbles: true, cancelable: true };
            const made = event === "paste"
                ? new ClipboardEvent(event, { ...init, clipboardData: data })
                : new DragEvent(event, { ...init, dataTransfer: data });
            document.getElementById("text").dispatchEvent(made);
        }""",
        [event, name, list(data)],
    )


def test_files_are_picked_dropped_pasted_taken_back_and_sent(page: "Page", model: Any) -> None:
    server = model(text("Read."))
    page.set_input_files("#attach", [{"name": "a.txt", "mimeType": "", "buffer": b"picked"}])
    bring(page, "drop", "b.txt", b"dropped")
    bring(page, "paste", "c.txt", b"pasted")
    assert page.locator(".chip-name").all_inner_texts() == ["a.txt", "b.txt", "c.txt"]

    page.click("#chips li:nth-child(2) button")
    page.press("#text", "Enter")
    page.wait_for_selector(".turn")
    wait_for_answer(page)

    assert page.locator(".message-user .chip-name").all_inner_texts() == ["a.txt", "c.txt"]
    assert page.locator("#chips li").count() == 0
    assert "picked" in server.requests[0].messages[-1]["content"]
    assert [each.name for each in Attachment.objects.all()] == ["a.txt", "c.txt"]


def test_a_file_that_is_refused_stays_with_the_text_to_be_taken_back(
    page: "Page", model: Any, send: "Send"
) -> None:
    model([text("Yes."), text("Fine.")])
    send(page, "Hello")
    wait_for_answer(page)

    page.set_input_files("#attach", [{"name": "x.pdf", "mimeType": "", "buffer": b"%PDF\x00"}])
    page.fill("#text", "Read this")
    page.press("#text", "Enter")
    page.wait_for_selector("#composer-error .error")
    assert "“x.pdf” was not taken" in words(page, "#composer-error")
    assert page.input_value("#text") == "Read this"
    page.click(".chip-remove")
    page.press("#text", "Enter")
    page.wait_for_selector(".turn:nth-child(2)")
    wait_for_answer(page)

    assert Turn.objects.count() == 2


def test_what_is_too_large_or_too_much_is_left_out_before_it_is_sent(
    tabs: Tabs, model: Any
) -> None:
    model([text("Yes.")], MAX_ATTACHMENTS=2, MAX_ATTACHMENT_BYTES=10)
    page = tabs.open()

    bring(page, "drop", "huge.txt", b"x" * 11)
    assert "at most 10 bytes" in words(page, "#composer-error").replace("\xa0", " ")
    for number in range(3):
        bring(page, "drop", f"{number}.txt", b"x")

    assert "can have 2 files" in words(page, "#composer-error")
    assert page.locator(".chip-name").all_inner_texts() == ["0.txt", "1.txt"]


def test_a_sent_image_is_seen_and_seen_again_after_a_reload(
    page: "Page", model: Any, settings: Any
) -> None:
    server = model(text("Nice."))
    settings.AUTOMATE["MODELS"]["default"]["IMAGES"] = True
    width = "document.querySelector('.attached-image img')?.naturalWidth"

    page.set_input_files("#attach", [{"name": "a", "mimeType": "", "buffer": png(64)}])
    page.press("#text", "Enter")
    until(lambda: page.evaluate(width) == 64)
    wait_for_answer(page)
    page.reload()
    until(lambda: page.evaluate(width) == 64)

    assert server.requests[0].messages[-1]["content"][1]["type"] == "image_url"


def test_without_a_script_a_file_goes_along_by_the_plain_form(tabs: Tabs, model: Any) -> None:
    model(text("Read."))
    page = tabs.open(java_script_enabled=False)

    page.set_input_files("#attach", [{"name": "a.txt", "mimeType": "", "buffer": b"words"}])
    page.fill("#text", "Read")
    page.click("[data-send]")

    assert page.inner_text(".message-user .chip-name") == "a.txt"
