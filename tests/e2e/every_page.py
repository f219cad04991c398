"""Every page, and what is done on it before it is looked at.

Whoever adds a page adds a line to `EVERY_PAGE`, and its row to `rows_of_every_page`; the tests that
look at all pages then see it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shown:
    """A page as a person meets it: where, when it is there, and what is done on it first."""

    name: str
    ready: str = "[data-theme-button]:not([hidden])"
    act: Callable[[Any], None] | None = None
    logged_in: bool = True


def _open_all_cards(page: Any) -> None:
    page.evaluate("document.querySelectorAll('main details').forEach((each) => (each.open = true))")


def _open_drawer(page: Any) -> None:
    if page.locator(".drawer-open").is_visible():
        page.click(".drawer-open")
    page.wait_for_selector("#drawer", state="visible")


def _open_menus(page: Any) -> None:
    """The menu in the bar and, where the list stands beside the page, the first one in it."""
    page.click(".bar-conversation summary")
    page.wait_for_selector(".bar-conversation [data-manage]")
    if page.locator("#drawer").is_visible():
        page.hover(".period li")
        page.click(".period li summary")
        page.wait_for_selector(".period [data-manage]")


def _search_the_result(page: Any) -> None:
    page.click(".result-views a:nth-child(2)")
    page.wait_for_selector(".tree")
    page.fill("[type=search]", "mug")
    page.wait_for_selector(".places mark")


def _open_a_result(page: Any) -> None:
    _open_all_cards(page)
    page.click("[data-opens-viewer]")
    page.wait_for_selector("#viewer[open] .table-scroll")


def _list_prompts(page: Any) -> None:
    page.click("#prompts-link")
    page.wait_for_selector("#prompt-list [role=option]")


def _open_tools(page: Any) -> None:
    page.click("#tools-link")
    page.wait_for_selector("#tools-panel")


def _open_widget(page: Any) -> None:
    page.click("button.launch")
    frame = page.wait_for_selector("iframe").content_frame()
    frame.wait_for_selector("[data-theme-button]:not([hidden])", state="attached")


def _search_by_key(page: Any) -> None:
    page.keyboard.press("Control+k")
    page.keyboard.type("mug")
    page.wait_for_selector("#search .search-list a")


def _show_keys(page: Any) -> None:
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")


EVERY_PAGE = (
    Shown("new"),
    Shown("new", act=_open_drawer),
    Shown("conversation"),
    Shown("conversation", act=_open_all_cards),
    Shown("answering", ready="[data-followed]"),
    Shown("approval", ready="[data-followed] .ask-form"),
    Shown("question", ready="[data-followed] .ask-form"),
    Shown("failed", act=_open_all_cards),
    Shown("branches"),
    Shown("edit", ready=".edit-form"),
    Shown("inbox"),
    Shown("conversation", act=_open_menus),
    Shown("manage"),
    Shown("archived"),
    Shown("share"),
    Shown("shares"),
    Shown("shared", ready="h1", logged_in=False),
    Shown("search", ready=".search-list a"),
    Shown("new", act=_search_by_key),
    Shown("new", act=_show_keys),
    Shown("deleted"),
    Shown("result"),
    Shown("result", act=_search_the_result),
    Shown("conversation", act=_open_a_result),
    Shown("tools", act=_open_all_cards),
    Shown("prompts"),
    Shown("prompt", ready="[name=prompt-f0]"),
    Shown("new", act=_list_prompts),
    Shown("conversation", act=_open_tools),
    Shown("accounts", ready="h1"),
    Shown("widget", ready="button.launch"),
    Shown("widget", ready="button.launch", act=_open_widget),
    Shown("login", ready="[name=password]", logged_in=False),
    Shown("missing", ready="h1"),
)
