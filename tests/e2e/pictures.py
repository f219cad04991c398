"""Takes the pictures of docs/screens.md: every page, light, dark, on a phone, in Arabic.

Run it by name, it is no test: `pytest -n 0 -p no:randomly tests/e2e/pictures.py`.
"""

from pathlib import Path
from typing import Any

import pytest

from .conftest import Tabs
from .every_page import EVERY_PAGE

pytestmark = pytest.mark.django_db(transaction=True)

FOLDER = Path(__file__).parent.parent.parent / "docs" / "screens"
DESKTOP = {"width": 1100, "height": 720}
PHONE = {"width": 375, "height": 720}
ON_A_PHONE = {"conversation", "approval", "new-open-drawer"}
IN_ARABIC = {"conversation", "approval", "new-open-drawer"}


@pytest.mark.usefixtures("executor")
def test_every_page_has_its_picture(tabs: Tabs, paths: dict[str, str], model: Any) -> None:
    model([], SHARING=True)
    for shown in EVERY_PAGE:
        if shown.name == "widget" and not shown.act:
            continue  # the same page with the corner closed
        name = shown.name + (shown.act.__name__.replace("_", "-") if shown.act else "")
        for theme in ("light", "dark"):
            ways: list[tuple[str, dict[str, Any]]] = [("", {"viewport": DESKTOP})]
            if theme == "light" and name in ON_A_PHONE:
                ways.append(("-phone", {"viewport": PHONE}))
            if theme == "light" and name in IN_ARABIC:
                ways.append(("-arabic", {"viewport": PHONE, "locale": "ar"}))
            for suffix, way in ways:
                options = {"color_scheme": theme, **way}
                page = tabs.open(paths[shown.name], ready=shown.ready, **options)
                if not shown.logged_in:
                    page.context.clear_cookies()
                    page.goto(page.url)
                if shown.act:
                    shown.act(page)
                page.screenshot(
                    path=FOLDER / f"chat-{name}{suffix}-{theme}.png", animations="disabled"
                )
                page.context.close()
