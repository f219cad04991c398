"""People connect accounts in a real browser: off to the authorization server, and back."""

from collections.abc import Iterator
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from automate.models import OAuthToken
from automate_llm.http import close_pools
from tests.automate.oauth_making import ACCOUNTS, add_oauth_server, call
from tests.servers.oauth import OAuthServer, Reply
from tests.servers.recording import Seen

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def issuer(tabs: Any, model: Any) -> Iterator[OAuthServer]:
    """An authorization server whose page asks the person; the browser may go there."""
    model([])
    with OAuthServer() as server:
        send_back = server.routes["GET", "/authorize"]

        def ask(seen: Seen) -> Reply:
            yes = send_back(seen).headers["Location"]
            asked = dict(parse_qsl(urlsplit(seen.path).query))
            no = {"error": "access_denied", "state": asked["state"]}
            no_address = f"{asked['redirect_uri']}?{urlencode(no)}"
            links = f'<a href="{escape(yes)}">Allow</a> <a href="{escape(no_address)}">Deny</a>'
            return Reply(200, f"<title>Shop login</title>{links}")

        server.routes["GET", "/authorize"] = ask
        yield server
        close_pools()
        tabs.trouble[:] = [each for each in tabs.trouble if server.issuer not in each]


@pytest.fixture
def accounts(tabs: Any) -> Any:
    """The page of accounts."""

    def opened(**options: Any) -> Any:
        return tabs.open(ACCOUNTS, ready="h1", **options)

    return opened


def test_an_account_is_connected_used_and_disconnected(
    accounts: Any, issuer: OAuthServer, user: Any
) -> None:
    server = add_oauth_server(issuer)
    page = accounts()
    page.click("text=Connect Shop")
    page.wait_for_url(f"{issuer.issuer}/authorize*")
    page.click("text=Allow")
    page.wait_for_selector("text=Your account of Shop is connected.")
    page.wait_for_selector("text=Connected since")
    used = call(server, user)

    page.click("text=Disconnect Shop")
    page.wait_for_selector("text=Your account of Shop is disconnected.")

    assert used == "done"
    assert page.locator("text=Not connected.").count() == 1
    assert not OAuthToken.objects.connected().exists()
    assert len(issuer.to("/revoke")) == 1


def test_a_person_who_says_no_is_told_so(accounts: Any, issuer: OAuthServer) -> None:
    add_oauth_server(issuer)
    page = accounts(viewport={"width": 375, "height": 700})
    page.click("text=Connect Shop")
    page.click("text=Deny")
    page.wait_for_selector("text=Your account of Shop is not connected.")

    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert not OAuthToken.objects.connected().exists()


def test_an_account_that_has_ended_is_connected_again(
    accounts: Any, issuer: OAuthServer, user: Any
) -> None:
    server = add_oauth_server(issuer)
    page = accounts(java_script_enabled=False)
    page.click("text=Connect Shop")
    page.click("text=Allow")
    page.wait_for_selector("text=Connected since")
    OAuthToken.objects.update(attention="The server has ended the connection.")
    page.goto(page.url)
    page.wait_for_selector("text=Needs attention: The server has ended the connection.")
    page.click("text=Connect again Shop")
    page.click("text=Allow")
    page.wait_for_selector("text=Your account of Shop is connected.")

    assert page.locator("text=Needs attention").count() == 0
    assert call(server, user) == "done"
