"""What every page of the runnable site says."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

NOTICE = "Demo model: picks tools by words & is no AI"


@pytest.fixture
def site(settings: Any, admin_user: Any) -> Client:
    settings.AUTOMATE = {**settings.AUTOMATE, "NOTICE": NOTICE}
    client = Client()
    client.force_login(admin_user)
    return client


@pytest.mark.parametrize(
    "address",
    [
        "chat:index",
        "admin:index",
        "admin:automate_mcpserver_changelist",
        "admin:automate_mcpserver_add",
        "admin:automate_mcptool_changelist",
        "automate:accounts",
    ],
)
def test_every_page_shows_the_notice(site: Client, address: str) -> None:
    page = site.get(reverse(address))

    assert page.status_code == 200
    assert page.content.decode().count(NOTICE.replace("&", "&amp;")) == 1


@pytest.mark.parametrize("address", ["login", "admin:login"])
def test_so_does_every_page_before_the_login(site: Client, address: str) -> None:
    site.logout()

    assert NOTICE.replace("&", "&amp;") in site.get(reverse(address)).content.decode()


def test_a_page_that_is_not_there_says_so_and_leads_back(site: Client) -> None:
    page = site.get("/chat/conversations/00000000-0000-0000-0000-000000000000/")
    text = page.content.decode()

    assert page.status_code == 404
    assert "belongs to somebody else" in text
    assert f'href="{reverse("chat:index")}"' in text
    assert NOTICE.replace("&", "&amp;") in text
