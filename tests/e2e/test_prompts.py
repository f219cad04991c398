"""Slash commands in a real browser, against the demo's own shop server."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from automate.models import MCPPrompt, MCPServer
from automate.sync import sync_server
from chat.models import Message
from tests.examples.test_shop_server import TOKEN, a_shop

from .conftest import Tabs
from .test_chat import until, words

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def shop_address(tmp_path_factory: Any) -> Iterator[str]:
    with a_shop(tmp_path_factory.mktemp("shop")) as child:
        yield child.address(20)


@pytest.fixture
def corner_shop(shop_address: str, transactional_db: None) -> MCPServer:
    row = MCPServer.objects.create(
        name="Corner shop",
        slug="shop",
        endpoint_url=shop_address,
        auth_type="bearer",
        auth_secret_ref=TOKEN,
    )
    assert not sync_server(row).error
    return row


def active(page: "Page") -> str:
    return str(page.get_attribute("#text", "aria-activedescendant"))


def test_a_slash_lists_prompts_and_one_with_arguments_fills_the_field(
    tabs: Tabs, corner_shop: MCPServer
) -> None:
    MCPPrompt.objects.create(server=corner_shop, name="another")
    page = tabs.open()
    page.type("#text", "/")
    page.wait_for_selector("#prompt-list [role=option]")
    assert page.locator("#prompt-list [role=option]:visible").count() == 2
    page.press("#text", "ArrowDown")
    weekly = MCPPrompt.objects.get(name="weekly_report")
    assert active(page) == f"prompt-{weekly.pk}"
    page.press("#text", "Escape")
    assert page.locator("#prompt-list").is_hidden()

    page.type("#text", "week")
    until(lambda: active(page) == f"prompt-{weekly.pk}")
    page.press("#text", "Enter")
    page.wait_for_selector("#prompt-sheet form")
    page.click("#prompt-sheet .button-primary")
    page.wait_for_selector("#prompt-sheet [aria-invalid=true]")
    page.fill("#prompt-sheet [name=prompt-f0]", "the owner")
    page.click("#prompt-sheet .button-primary")
    page.wait_for_selector("#prompt-sheet", state="hidden")

    assert page.input_value("#text").startswith("Write a short report on all products for the own")
    assert page.evaluate("document.activeElement.id") == "text"
    assert not Message.objects.exists()


def test_a_prompt_without_arguments_fills_the_field_at_once_or_says_why_not(
    tabs: Tabs, corner_shop: MCPServer
) -> None:
    MCPPrompt.objects.filter(name="weekly_report").update(arguments=[])
    page = tabs.open()

    page.click("#prompts-link")
    page.click("#prompt-list [role=option]")
    page.wait_for_selector("#prompt-sheet .error")

    assert "Corner shop did not give the prompt." in words(page, "#prompt-sheet .error")
    assert page.input_value("#text") == "/"
