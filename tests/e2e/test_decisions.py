"""What a person decides, in a real browser."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from automate.models import MCPTool
from chat.executors import stop_executor
from chat.models import Approval, ToolCall, ToolGrant, Turn
from tests.chat.deciding import (
    ordering,
)
from tests.servers.scripted_replies import calls, text
from tests.servers.site import Site

from .conftest import MUG, Tabs
from .test_chat import until, wait_for_answer, wait_for_card, words

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Send = Callable[[Page, str], None]

pytestmark = pytest.mark.django_db(transaction=True)


def active(page: "Page") -> str:
    return str(
        page.evaluate("document.activeElement.name || document.activeElement.tagName.toLowerCase()")
    )


def test_a_call_is_allowed_once_and_the_same_stream_goes_on(
    page: "Page", shopping: Any, send: "Send"
) -> None:
    server = shopping()
    send(page, "Order two mugs")
    wait_for_card(page)
    page.evaluate("window.stillHere = true")
    assert words(page, "[data-activity]") == "Needs your approval"
    until(lambda: page.inner_text("#status") == "Needs your approval")
    assert page.locator("[data-stop]").is_visible()
    until(lambda: words(page, "#inbox-link").startswith("Inbox 1"))
    assert server.calls() == []

    page.click("text=Allow once")
    wait_for_answer(page)

    assert words(page, ".turn .markdown:not(:empty)") == "All done."
    assert server.calls() == [MUG]
    assert page.evaluate("window.stillHere")
    assert page.locator(".call").get_attribute("open") is None
    until(lambda: words(page, "#inbox-link") == "Inbox")
    page.reload()
    page.click(".call summary")
    assert "Allowed by ann." in words(page, ".call-body")


def test_a_call_is_denied_with_a_reason_that_the_model_is_told(
    page: "Page", shopping: Any, send: "Send"
) -> None:
    server = shopping()
    send(page, "Order two mugs")
    wait_for_card(page)

    page.fill("[name=reason]", "We have enough")
    page.press("[name=reason]", "Enter")
    assert Approval.objects.get().status == Approval.Status.WAITING
    page.click("text=Do not allow")
    wait_for_answer(page)

    assert server.calls() == []
    assert ToolCall.objects.get().error.endswith("We have enough")


def test_arguments_are_changed_first_badly_then_well(
    page: "Page", shopping: Any, send: "Send"
) -> None:
    server = shopping()
    send(page, "Order two mugs")
    wait_for_card(page)

    page.get_by_label("How many").fill("99")
    page.get_by_label("Note").fill("with a bow")
    page.get_by_label("Yes").check()
    page.click("text=Allow once")
    page.wait_for_selector(".call .error")
    assert "It must be at most 9, not 99." in words(page, ".call")
    assert page.get_by_label("Note").input_value() == "with a bow"
    until(lambda: active(page).endswith("-f1"))
    page.get_by_label("How many").fill("3")
    page.click("text=Allow once")
    wait_for_answer(page)

    assert server.calls() == [{"sku": "MUG", "count": 3, "note": "with a bow", "gift": True}]
    page.click(".call summary")
    assert "The arguments were changed." in words(page, ".call-body")


def test_always_for_me_asks_no_second_time_until_it_is_taken_back(
    page: "Page", shopping: Any, send: "Send"
) -> None:
    server = shopping(times=3)
    send(page, "Order two mugs")
    wait_for_card(page)
    page.click("text=Always allow for me")
    wait_for_answer(page)

    send(page, "And again")
    wait_for_answer(page)
    assert server.calls() == [MUG, MUG]
    page.click("#inbox-link")
    page.wait_for_selector("#grants li")
    page.click("#grants button")
    page.wait_for_selector("#grants li", state="detached")
    assert not ToolGrant.objects.in_force().exists()
    page.click("#history a")
    page.wait_for_selector(".turn")
    send(page, "Once more")
    wait_for_card(page)

    assert len(server.calls()) == 2


def test_a_call_of_unknown_outcome_is_resolved(page: "Page", shopping: Any, send: "Send") -> None:
    shopping()
    send(page, "Order two mugs")
    wait_for_card(page)
    ToolCall.objects.update(status=ToolCall.Status.UNKNOWN, error="It was cut off.")
    Approval.objects.update(status=Approval.Status.APPROVED)
    page.reload()

    page.wait_for_selector(".call-unknown[open]")
    assert words(page, "#inbox-link").startswith("Inbox 1")
    page.click("text=It was done")
    wait_for_answer(page)

    assert ToolCall.objects.get().status == ToolCall.Status.SUCCEEDED


def test_a_decision_in_another_tab_shows_here(tabs: Tabs, shopping: Any, send: "Send") -> None:
    server = shopping()
    here = tabs.open()
    send(here, "Order two mugs")
    wait_for_card(here)
    there = tabs.open("/chat/inbox/")

    there.click("text=Allow once")
    there.wait_for_selector(".call-asks", state="detached")
    wait_for_answer(here)

    assert words(here, ".turn .markdown:not(:empty)") == "All done."
    assert server.calls() == [MUG]
    until(lambda: words(there, "#inbox-link") == "Inbox")


def test_the_second_of_two_tabs_is_told(tabs: Tabs, shopping: Any, send: "Send") -> None:
    shopping()
    here = tabs.open()
    send(here, "Order two mugs")
    wait_for_card(here)
    there = tabs.open("/chat/inbox/")

    here.click("text=Allow once")
    wait_for_answer(here)
    there.click("text=Do not allow")
    there.wait_for_selector(".call-refusal")

    assert "decided already" in words(there, ".call-refusal")
    assert Approval.objects.get().status == Approval.Status.APPROVED


def test_a_decision_after_the_site_was_restarted(
    tabs: Tabs, shopping: Any, send: "Send", user: Any
) -> None:
    server = shopping()
    first = Site()
    with first:
        tabs.site = first
        for cookie in tabs.cookies:
            cookie["url"] = first.url
        page = tabs.open()
        send(page, "Order two mugs")
        wait_for_card(page)
    stop_executor()
    until(lambda: "lost" in words(page, "[data-activity]"))
    page.click("text=Allow once")
    page.wait_for_selector(".call-refusal")
    assert "could not be sent" in words(page, ".call-refusal")
    with Site(first.port):
        until(lambda: words(page, "[data-activity]") == "Needs your approval")
        page.click("text=Allow once")
        wait_for_answer(page)

        assert words(page, ".turn .markdown:not(:empty)") == "All done."
        assert server.calls() == [MUG]
        page.context.close()
    # What htmx says of a request that found no site is no fault of the page.
    tabs.trouble = [each for each in tabs.trouble if not each.startswith("console: htmx:")]


def test_a_second_person_decides_in_the_inbox(
    tabs: Tabs, shopping: Any, send: "Send", site: Site, django_user_model: Any
) -> None:
    server = shopping()
    sam = django_user_model.objects.create_user("sam")
    sam.user_permissions.set(Permission.objects.filter(codename="approve_for_others"))
    MCPTool.objects.update(needs_second_person=True)
    here = tabs.open()
    send(here, "Order two mugs")
    here.wait_for_selector("[data-activity][data-state=waiting]")

    assert "Only a second person can allow it." in words(here, ".call")
    assert here.locator(".ask-form").count() == 0
    assert words(here, "#inbox-link") == "Inbox"
    assert server.calls() == []
    browser = Client()
    browser.force_login(sam)
    tabs.cookies = [
        {"name": name, "value": morsel.value, "url": site.url}
        for name, morsel in browser.cookies.items()
    ]
    there = tabs.open("/chat/inbox/")
    assert words(there, ".ask-lead") == "The assistant of ann wants to use this tool."
    there.get_by_label("How many").fill("1")
    there.click("text=Allow once")
    wait_for_answer(here)

    assert server.calls() == [{"sku": "MUG", "count": 1}]
    here.click(".call summary")
    assert "Allowed by sam. The arguments were changed." in words(here, ".call-body")


def test_stop_ends_the_wait_and_sending_is_refused_in_words(
    page: "Page", shopping: Any, send: "Send"
) -> None:
    server = shopping()
    send(page, "Order two mugs")
    wait_for_card(page)

    page.fill("#text", "Hurry")
    page.press("#text", "Enter")
    page.wait_for_selector("#composer-error .error")
    assert "waits for your decision" in words(page, "#composer-error")
    page.click("[data-stop]")
    wait_for_answer(page)

    assert Turn.objects.get().status == Turn.Status.CANCELLED
    assert page.input_value("#text") == "Hurry"
    assert page.locator(".ask-form").count() == 0
    assert server.calls() == []


def test_without_javascript_a_call_is_allowed_too(tabs: Tabs, model: Any, shop: Any) -> None:
    seen = threading.Event()
    server = shop(ordering())
    model([calls(("shop__order", MUG)), text("All done.").held(seen)], APPROVAL_DEFAULT="ask")
    page = tabs.open(java_script_enabled=False)
    page.fill("#text", "Order two mugs")
    page.click("[data-send]")
    page.wait_for_selector(".ask-form")

    page.get_by_label("How many").fill("99")
    page.click("text=Allow once")
    page.wait_for_selector(".call .error")
    assert page.get_by_label("How many").input_value() == "99"
    page.get_by_label("How many").fill("4")
    with page.expect_navigation(url="**#call-*"):
        page.click("text=Allow once")
    seen.set()
    page.wait_for_selector("text=All done.")

    assert "#call-" not in page.url
    assert server.calls() == [{"sku": "MUG", "count": 4}]


def test_what_is_typed_stays_while_another_call_goes_on(
    page: "Page", model: Any, shop: Any, send: "Send"
) -> None:
    release = threading.Event()

    def slow(arguments: Any) -> Any:
        if arguments["count"] == 1:
            release.wait(10)
        return {"ordered": arguments["count"]}

    server = shop(ordering(slow))
    both = calls(
        ("shop__order", {"sku": "MUG", "count": 1}), ("shop__order", {"sku": "CUP", "count": 2})
    )
    model([both, text("All done.")], APPROVAL_DEFAULT="ask")
    send(page, "Order both")
    page.wait_for_selector(".call:nth-child(2) .ask-form")
    page.locator(".call:nth-child(1)").get_by_text("Allow once").click()
    page.wait_for_selector(".call-running")
    page.locator(".call:nth-child(2)").get_by_label("Note").fill("do not lose me")
    release.set()
    page.wait_for_selector(".call-succeeded")
    page.wait_for_selector("[data-activity][data-state=waiting]")
    page.locator(".call:nth-child(2)").get_by_text("Allow once").click()
    wait_for_answer(page)

    note = {"sku": "CUP", "count": 2, "note": "do not lose me"}
    assert server.calls() == [{"sku": "MUG", "count": 1}, note]


def test_decisions_work_under_wsgi(
    chromium: Any, live_server: Any, user: Any, client: Any, shopping: Any, send: "Send"
) -> None:
    server = shopping()
    client.force_login(user)
    with chromium.new_context() as context:
        for name, morsel in client.cookies.items():
            context.add_cookies([{"name": name, "value": morsel.value, "url": live_server.url}])
        page = context.new_page()
        page.goto(live_server.url + "/chat/")
        page.wait_for_selector("[data-theme-button]:not([hidden])")
        send(page, "Order two mugs")
        wait_for_card(page)
        page.click("text=Allow once")
        wait_for_answer(page)

        assert words(page, ".turn .markdown:not(:empty)") == "All done."
        assert server.calls() == [MUG]
