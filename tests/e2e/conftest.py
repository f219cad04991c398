"""A real Chromium against the real site, with a scripted model and real MCP servers."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.chat.conftest import _no_work_goes_on, executor, model, shop, user  # noqa: F401
from tests.chat.deciding import ordering
from tests.servers.scripted_replies import calls, text
from tests.servers.site import Site

from .every_page_rows import rows_of_every_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

MUG = {"sku": "MUG", "count": 2}
"""What an order in the shop wants."""

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="module")
def chromium(django_db_setup: None) -> Iterator["Browser"]:
    """One headless browser for the tests of a file.

    Playwright's synchronous interface keeps an event loop in this thread. It ends with the file,
    so that other tests find none, and until then Django is told that our rows are no mistake.
    """
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e .[e2e]"
    )
    if not CHROMIUM:
        pytest.skip("there is no Chromium: install one, or name it in CHROMIUM")
    with pytest.MonkeyPatch.context() as environment, playwright.sync_playwright() as running:
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = running.chromium.launch(
            executable_path=CHROMIUM, args=list(ARGUMENTS), headless=True
        )
        yield browser
        browser.close()


@pytest.fixture
def site(chromium: "Browser", transactional_db: None) -> Iterator[Site]:
    with Site() as running:
        yield running


@dataclass
class Tabs:
    """Opens pages as the logged-in user, and keeps what went wrong in any of them."""

    browser: "Browser"
    site: Site
    cookies: list[Any]
    trouble: list[str] = field(default_factory=list)
    contexts: list["BrowserContext"] = field(default_factory=list)

    def open(
        self,
        path: str = "/chat/",
        *,
        ready: str = "[data-theme-button]:not([hidden])",
        **options: Any,
    ) -> "Page":
        """A page in a browser of its own, once what `ready` selects is there.

        `options` are Playwright's for a context.
        """
        context = self.browser.new_context(**options)
        context.set_default_timeout(15_000)
        context.add_cookies(self.cookies)
        self.contexts.append(context)
        page = context.new_page()
        self.watch(page)
        page.goto(self.site.url + path)
        if options.get("java_script_enabled", True):
            page.wait_for_selector(ready, state="attached")
        return page

    def watch(self, page: "Page") -> None:
        """Keep what goes wrong in a page."""
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.trouble.append(f"dialog: {dialog.message}"))
        page.on("request", self._requested)

    def _heard(self, message: Any) -> None:
        # A status that is no success is the server's word, and the page says it in its own.
        is_status = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not is_status:
            self.trouble.append(f"console: {message.text}")

    def _requested(self, request: Any) -> None:
        if not request.url.startswith((self.site.url, "data:")):
            self.trouble.append(f"request: {request.url}")


def cookies_of(client: Any, site: Site) -> list[Any]:
    """What a browser has that is logged in as this client is."""
    return [
        {"name": name, "value": morsel.value, "url": site.url}
        for name, morsel in client.cookies.items()
    ]


@pytest.fixture
def tabs(chromium: "Browser", site: Site, user: Any, client: Any) -> Iterator[Tabs]:  # noqa: F811
    """Pages of a person who is logged in; errors, dialogs and foreign requests fail the test."""
    client.force_login(user)
    opened = Tabs(chromium, site, cookies_of(client, site))
    yield opened
    for context in opened.contexts:
        context.close()

    assert opened.trouble == []


@pytest.fixture
def page(tabs: Tabs) -> "Page":
    """A new conversation, on a desktop."""
    return tabs.open()


@pytest.fixture
def paths(user: Any, settings: Any) -> dict[str, str]:  # noqa: F811
    """The addresses of every page, on a site whose people share links."""
    settings.AUTOMATE = {**settings.AUTOMATE, "SHARING": True}
    return rows_of_every_page(user)


@pytest.fixture
def send() -> Callable[["Page", str], None]:
    """Write a message, press Enter, and see its turn begin."""

    def type_and_enter(page: "Page", text: str) -> None:
        turns = page.locator(".turn").count()
        page.fill("#text", text)
        page.press("#text", "Enter")
        page.wait_for_selector(f".turn:nth-child({turns + 1})")

    return type_and_enter


@pytest.fixture
def shopping(model: Any, shop: Any) -> Any:  # noqa: F811
    """A shop whose tool asks, and a model that orders so many times."""

    def begin(offer: Any = None, arguments: Any = MUG, times: int = 1, **options: Any) -> Any:
        offer = offer or ordering()
        server = shop(offer, **options)
        turn = [calls((f"shop__{offer.name}", arguments)), text("All done.")]
        model(turn * times, APPROVAL_DEFAULT="ask")
        return server

    return begin
