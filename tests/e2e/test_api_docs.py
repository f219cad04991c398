"""The documents of the JSON API, in a real browser."""

from typing import Any

import pytest

from .conftest import Tabs

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_documents_of_the_api_load_nothing_from_elsewhere(tabs: Tabs, settings: Any) -> None:
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "ninja"]
    settings.AUTOMATE = {"API_DOCS": True}
    page = tabs.open()

    page.goto(tabs.site.url + "/chat/api/docs")
    page.wait_for_selector('[data-path="/chat/api/approvals/{approval_id}/approve"]')
