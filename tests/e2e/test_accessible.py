"""Every page for everybody: axe, sizes of targets, widths, the status region, and the focus."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import Tabs
from .every_page import EVERY_PAGE, Shown

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.django_db(transaction=True)

Paths = Mapping[str, str]

PHONE, DESKTOP = 375, 1440
LEAST_TARGET = 24
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

SMALL_TARGETS = """least => {
    const isSeen = (element) => element.checkVisibility({visibilityProperty: true});
    const inText = (element) => element.matches("a") && element.closest("p, li, td, .markdown") &&
        getComputedStyle(element).display === "inline";
    const found = document.querySelectorAll(
        "a[href], button, input:not([type=hidden]), select, textarea, summary");
    return [...found].filter(isSeen).filter((element) => !inText(element)).flatMap((element) => {
        const label = element.matches("input") && element.closest("label");
        const box = (label || element).getBoundingClientRect();
        const hidden = box.width <= 1 || box.bottom <= 0;
        if (hidden || (box.width >= least && box.height >= least)) return [];
        return `${element.outerHTML.slice(0, 120)}: ${box.width} by ${box.height}`;
    });
}"""
"""Interactive elements that are smaller; less links in a sentence, as by WCAG 2.2, 2.5.8."""

WIDTHS = (320, 768, 1920)
TOO_WIDE = """() => {
    const longest = 48 * parseFloat(getComputedStyle(document.documentElement).fontSize);
    const lines = [...document.querySelectorAll("p, li, dd, h1, h2, h3")].filter((element) =>
        element.checkVisibility({visibilityProperty: true}) && element.offsetWidth > longest &&
        [...element.childNodes].some(({nodeType, data}) => nodeType === 3 && data.length > 60));
    const {scrollWidth: page, scrollHeight} = document.documentElement;
    const isApart = document.querySelector(".shell") && scrollHeight > innerHeight;
    return [
        ...(isApart ? [`its frame scrolls, by ${scrollHeight - innerHeight}`] : []),
        ...(page > innerWidth ? [`it is ${page} wide`] : []),
        ...lines.map((element) => `${element.outerHTML.slice(0, 120)}: ${element.offsetWidth}`),
    ];
}"""
"""What scrolls with the page that should stand still, and lines longer than 48 rem."""


@pytest.fixture(scope="module")
def axe() -> Any:
    module = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is missing: pip install -e .[e2e]"
    )
    return module.Axe()


def barriers(axe: Any, page: "Page") -> list[str]:
    """What axe finds on a page, and targets that are too small to hit."""
    options = {"resultTypes": ["violations"], "runOnly": {"type": "tag", "values": RULES}}
    found = axe.run(page, options=options).response["violations"]
    lines = [
        f"{each['id']}: {node['html'][:160]} {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]
    return lines + page.evaluate(SMALL_TARGETS, LEAST_TARGET)


def each_page(tabs: Tabs, page: "Page", paths: Paths) -> Iterator[Shown]:
    """Every page, one after the other in the same tab, with what is done on it."""
    for shown in EVERY_PAGE:
        page.context.clear_cookies()
        if shown.logged_in:
            page.context.add_cookies(tabs.cookies)
        page.goto(tabs.site.url + paths[shown.name])
        page.wait_for_selector(shown.ready, state="attached")
        if shown.act:
            shown.act(page)
        yield shown


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_barrier(tabs: Tabs, paths: Paths, axe: Any, theme: str, width: int) -> None:
    page = tabs.open(viewport={"width": width, "height": 800}, color_scheme=theme)
    found = []
    for shown in each_page(tabs, page, paths):
        trouble = list(tabs.trouble)
        found += [f"{shown.name}: {each}" for each in barriers(axe, page)]
        tabs.trouble[:] = trouble  # axe tries styles on elements, which the policy does not let it
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{shown.name}: it is wider than its screen")

    assert not found, "\n".join(found)


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("locale", ["en", "ar"])
def test_no_page_is_wider_than_any_screen_and_no_line_too_long_to_read(
    tabs: Tabs, paths: Paths, locale: str
) -> None:
    direction = {"en": "ltr", "ar": "rtl"}[locale]
    page = tabs.open(locale=locale)
    found = []
    for shown in each_page(tabs, page, paths):
        if page.evaluate("document.documentElement.dir") != direction:
            found.append(f"{shown.name}: it does not run {direction}")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            found += [f"{shown.name} at {width}: {each}" for each in page.evaluate(TOO_WIDE)]
        page.set_viewport_size({"width": DESKTOP, "height": 800})

    assert not found, "\n".join(found)


@pytest.mark.usefixtures("executor")
def test_a_page_has_landmarks_one_status_region_and_a_way_past_its_lists(
    tabs: Tabs, paths: Paths
) -> None:
    page = tabs.open(paths["answering"])
    counts = {
        name: page.locator(name).count()
        for name in (
            "main",
            "nav[aria-label]",
            "h1",
            "#status[role=status]",
            "[role=log][aria-live=off]",
        )
    }

    assert counts == dict.fromkeys(counts, 1)
    first = page.locator("a[href], button, input, textarea").first
    assert first.get_attribute("class") == "skip"
    first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.usefixtures("executor")
def test_nothing_moves_on_for_who_wants_no_motion(tabs: Tabs, paths: Paths) -> None:
    path = paths["answering"]
    endless = "document.getAnimations().filter((each) => each.playState === 'running').length"

    assert tabs.open(path).evaluate(endless) > 0
    assert tabs.open(path, reduced_motion="reduce").evaluate(endless) == 0
