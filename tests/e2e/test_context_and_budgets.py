"""What a person sees of a conversation that is summarised, and of a budget that is used up."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from chat.models import DailyUsage
from tests.servers.scripted_replies import Reply, Request, text

from .conftest import Tabs

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Send = Callable[[Page, str], None]

pytestmark = pytest.mark.django_db(transaction=True)


def reply(request: Request) -> Reply:
    if "Summarise the beginning" in request.messages[0]["content"]:
        return text("They spoke of mugs, and of <script>alert(1)</script>.")
    return text("word " * 90)


def wait_for_answer(page: "Page") -> None:
    page.wait_for_selector("[data-send]")
    page.wait_for_selector("[data-activity]", state="hidden")


def test_a_summary_is_told_of_at_once_and_can_be_read_later(
    page: "Page", model: Any, send: "Send", tabs: Tabs
) -> None:
    model(reply, CONTEXT_TOKENS=100)
    for number in range(3):
        send(page, f"Question {number}")
        wait_for_answer(page)
    notice = page.locator(".turn-notice")
    assert "Older messages were summarised" in notice.inner_text()

    page.reload()

    note = page.locator(".summary-note")
    assert note.count() == 1
    assert page.locator(".message-user").count() == 3
    assert not note.locator(".plain").is_visible()
    note.locator("summary").click()
    assert "of <script>alert(1)</script>." in note.locator(".plain").inner_text()
    assert note.evaluate("each => each.parentElement.innerText.includes('Question 1')")


def test_a_used_up_budget_is_said_in_words_and_the_message_stays(
    page: "Page", model: Any, send: "Send"
) -> None:
    model([text("Hello.")], USER_DAILY_TOKENS=1)
    send(page, "First")
    wait_for_answer(page)

    send(page, "Second")
    wait_for_answer(page)

    failed = page.locator(".turn-failed").inner_text()
    assert "You have used all the tokens that you have for today." in failed
    assert "midnight" in failed
    page.reload()
    assert page.locator(".message-user").nth(1).inner_text() == "Second"
    assert page.locator(".go-on button").is_visible()


def test_the_admin_shows_what_was_used(
    page: "Page", model: Any, send: "Send", user: Any, tabs: Tabs
) -> None:
    user.is_staff = user.is_superuser = True
    user.save()
    model([text("Hello.")])
    send(page, "First")
    wait_for_answer(page)

    page.goto(f"{tabs.site.url}/admin/automate_chat/dailyusage/")

    used = DailyUsage.objects.get()
    assert f"{used.tokens} tokens" in page.inner_text("#changelist")
    assert page.locator("#result_list tbody tr").count() == 1
