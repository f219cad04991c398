"""The pages where people connect their accounts."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from automate.models import MCPServerOAuth, OAuthToken
from tests.servers.oauth import OAuthServer, Reply

from .oauth_making import (
    ACCOUNTS,
    add_oauth_server,
    begin,
    brought_back,
    browser_of,
    call,
    connect,
    hold,
    page,
    person,
    row_of,
    words_of,
)

pytestmark = pytest.mark.django_db


def changed(address: str, **changes: str) -> str:
    """The address with other fields in its query."""
    parts = urlsplit(address)
    return f"{parts.path}?{urlencode({**dict(parse_qsl(parts.query)), **changes})}"


def state(browser: Client) -> str:
    """The accounts page as text, its white space shrunk."""
    return " ".join(browser.get(ACCOUNTS, secure=True).content.decode().split())


def test_an_account_is_connected_and_then_used(oauth_peer: OAuthServer) -> None:
    user, server = person(), add_oauth_server(oauth_peer)
    browser = browser_of(user)
    assert "Not connected." in state(browser)

    answer = connect(browser, server)

    assert words_of(answer) == ["success: Your account of Shop is connected."]
    assert answer.redirect_chain == [(ACCOUNTS, 302)]
    assert "Connected since" in state(browser)
    assert call(server, user) == "done"
    sent = parse_qsl(urlsplit(oauth_peer.to("/authorize")[0].path).query)
    assert dict(sent)["redirect_uri"] == f"https://testserver{ACCOUNTS}shop/callback/"


def test_what_the_refusal_of_the_server_asks_for_is_asked_for(oauth_peer: OAuthServer) -> None:
    oauth_peer.scope = "read"
    oauth_peer.routes["GET", "/hidden"] = lambda seen: Reply(200, oauth_peer.resource_metadata)
    del oauth_peer.routes["GET", "/.well-known/oauth-protected-resource/api"]
    where = f'Bearer resource_metadata="{oauth_peer.issuer}/hidden", scope="read"'
    oauth_peer.routes["GET", "/api/tools"] = lambda seen: Reply(
        401, {}, {"WWW-Authenticate": where}
    )

    begun = begin(browser_of(person()), add_oauth_server(oauth_peer))

    assert dict(parse_qsl(urlsplit(begun["Location"]).query))["scope"] == "read"


def test_a_registration_serves_everybody(oauth_peer: OAuthServer) -> None:
    server = add_oauth_server(oauth_peer)

    connect(browser_of(person("ann")), server)
    connect(browser_of(person("bob")), server)

    assert len(oauth_peer.to("/register")) == 1
    assert OAuthToken.objects.connected().count() == 2
    assert "client-secret" not in MCPServerOAuth.objects.get().client_data


def test_a_registration_that_is_not_known_any_more_is_made_anew(oauth_peer: OAuthServer) -> None:
    browser, server = browser_of(person()), add_oauth_server(oauth_peer)
    begun = begin(browser, server)
    oauth_peer.clients.clear()
    refused = browser.get(brought_back(begun), secure=True, follow=True)

    answer = connect(browser, server)

    assert "it does not accept the client" in words_of(refused)[0]
    assert words_of(answer) == ["success: Your account of Shop is connected."]


@pytest.mark.parametrize(
    "change", [{"state": "wrong"}, {"state": ""}, {"iss": "https://a.example"}]
)
def test_an_answer_that_does_not_belong_to_the_question_is_refused(
    oauth_peer: OAuthServer, change: dict[str, str]
) -> None:
    browser, server = browser_of(person()), add_oauth_server(oauth_peer)
    address = brought_back(begin(browser, server))

    answer = browser.get(changed(address, **change), secure=True, follow=True)

    assert words_of(answer)[0].startswith("error: Your account of Shop is not connected.")
    assert not OAuthToken.objects.exists()
    assert not oauth_peer.to("/token")


def test_an_answer_is_of_use_once(oauth_peer: OAuthServer) -> None:
    browser, server = browser_of(person()), add_oauth_server(oauth_peer)
    address = brought_back(begin(browser, server))
    browser.get(address, secure=True)

    again = browser.get(address, secure=True, follow=True)

    assert "begin again" in words_of(again)[-1]
    assert len(oauth_peer.to("/token")) == 1


def test_another_persons_answer_is_refused(oauth_peer: OAuthServer) -> None:
    server = add_oauth_server(oauth_peer)
    address = brought_back(begin(browser_of(person("ann")), server))

    answer = browser_of(person("bob")).get(address, secure=True, follow=True)

    assert "does not belong to what you began" in words_of(answer)[0]
    assert not OAuthToken.objects.exists()


def test_a_browser_that_changed_hands_does_not_connect_the_next_person(
    oauth_peer: OAuthServer,
) -> None:
    server, browser = add_oauth_server(oauth_peer), browser_of(person("ann"))
    address = brought_back(begin(browser, server))
    begun = browser.session["automate_oauth_pending"]
    browser.force_login(person("bob"))
    session = browser.session
    session["automate_oauth_pending"] = begun
    session.save()

    browser.get(address, secure=True)

    assert not OAuthToken.objects.exists()


def test_an_answer_for_one_server_is_not_taken_at_another(oauth_peer: OAuthServer) -> None:
    browser, server = browser_of(person()), add_oauth_server(oauth_peer)
    add_oauth_server(oauth_peer, "bank")
    address = brought_back(begin(browser, server))

    browser.get(address.replace("/shop/", "/bank/"), secure=True)

    assert not OAuthToken.objects.exists()


def test_a_person_who_says_no_is_told_so(oauth_peer: OAuthServer) -> None:
    browser, server = browser_of(person()), add_oauth_server(oauth_peer)
    oauth_peer.response = {"error": "access_denied"}

    answer = connect(browser, server)

    assert "the request was denied" in words_of(answer)[0]


def test_what_was_begun_shows_nothing_in_the_session(oauth_peer: OAuthServer) -> None:
    browser = browser_of(person())

    begun = begin(browser, add_oauth_server(oauth_peer))

    fields = dict(parse_qsl(urlsplit(begun["Location"]).query))
    assert fields["state"] not in str(dict(browser.session))
    assert "code_verifier" not in str(dict(browser.session))


def test_a_token_endpoint_that_answers_html_is_told_in_words(oauth_peer: OAuthServer) -> None:
    browser, server = browser_of(person()), add_oauth_server(oauth_peer)
    oauth_peer.routes["POST", "/token"] = lambda seen: Reply(200, "<b>Hello</b>")

    answer = connect(browser, server)

    assert "text/html instead of JSON" in words_of(answer)[0]
    assert b"<b>Hello" not in answer.content


def test_a_server_that_is_gone_is_told_in_words(oauth_peer: OAuthServer) -> None:
    browser, server = browser_of(person()), add_oauth_server(oauth_peer)
    server.endpoint_url = "http://127.0.0.1:1/api"
    server.save()

    answer = browser.post(page(server, "connect/"), secure=True, follow=True)

    assert "Connection error" in words_of(answer)[0]


def test_disconnecting_forgets_the_token_and_ends_it_there(oauth_peer: OAuthServer) -> None:
    user, server = person(), add_oauth_server(oauth_peer)
    browser = browser_of(user)
    connect(browser, server)
    hold(oauth_peer, server, person("bob"))

    answer = browser.post(page(server, "disconnect/"), secure=True, follow=True)

    assert words_of(answer) == ["success: Your account of Shop is disconnected."]
    assert [row.user.username for row in OAuthToken.objects.all() if row.user] == ["bob"]
    assert oauth_peer.to("/revoke")[0].body["token"].startswith("refresh-token")


def test_an_account_is_forgotten_even_where_it_cannot_be_ended(oauth_peer: OAuthServer) -> None:
    user, server = person(), add_oauth_server(oauth_peer)
    hold(oauth_peer, server, user)
    oauth_peer.routes["POST", "/revoke"] = lambda seen: Reply(503, {})

    answer = browser_of(user).post(page(server, "disconnect/"), secure=True, follow=True)

    assert "is forgotten here" in words_of(answer)[0]
    assert not OAuthToken.objects.exists()


def test_the_account_of_somebody_else_is_out_of_reach(oauth_peer: OAuthServer) -> None:
    ann, server = person("ann"), add_oauth_server(oauth_peer)
    hold(oauth_peer, server, ann)
    bob = browser_of(person("bob"))

    refused = bob.post(page(server, "disconnect/"), secure=True)

    assert refused.status_code == 404
    assert "Connected since" not in state(bob)
    assert row_of(server, ann).token is not None


@pytest.mark.parametrize("name", ["connect/", "disconnect/", "callback/"])
def test_who_is_not_logged_in_is_sent_to_the_login(oauth_peer: OAuthServer, name: str) -> None:
    server = add_oauth_server(oauth_peer)
    method = Client().get if name == "callback/" else Client().post

    answers = [method(page(server, name), secure=True), Client().get(ACCOUNTS, secure=True)]

    assert [answer["Location"].split("?")[0] for answer in answers] == ["/login/", "/login/"]
    assert oauth_peer.requests == []


@pytest.mark.parametrize("name", ["connect/", "disconnect/"])
def test_a_change_needs_a_post_with_the_sites_own_token(oauth_peer: OAuthServer, name: str) -> None:
    user, server = person(), add_oauth_server(oauth_peer)
    hold(oauth_peer, server, user)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)

    answers = [strict.get(page(server, name)), strict.post(page(server, name))]

    assert [answer.status_code for answer in answers] == [405, 403]
    assert oauth_peer.requests == []


@pytest.mark.parametrize("fields", [{"enabled": False}, {"auth_type": "oauth_client"}])
def test_a_server_that_people_do_not_connect_to_has_no_such_page(
    oauth_peer: OAuthServer, fields: dict[str, Any]
) -> None:
    browser, server = browser_of(person()), add_oauth_server(oauth_peer, **fields)

    answers = [begin(browser, server), browser.get(page(server, "client.json"))]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert "Shop" not in state(browser)


def test_an_account_can_be_disconnected_when_its_server_is_off(oauth_peer: OAuthServer) -> None:
    user, server = person(), add_oauth_server(oauth_peer, enabled=False)
    hold(oauth_peer, server, user)
    browser = browser_of(user)
    assert "Connect again" not in state(browser)

    browser.post(page(server, "disconnect/"), secure=True)

    assert not OAuthToken.objects.exists()


def test_the_document_about_this_site_is_public_and_names_itself(oauth_peer: OAuthServer) -> None:
    server = add_oauth_server(oauth_peer)

    answer = Client().get(page(server, "client.json"), secure=True)

    content = answer.json()
    assert content["client_id"] == f"https://testserver{page(server, 'client.json')}"
    assert content["redirect_uris"] == [f"https://testserver{page(server, 'callback/')}"]


def test_the_document_is_the_client_id_where_that_is_taken(oauth_peer: OAuthServer) -> None:
    oauth_peer.metadata["client_id_metadata_document_supported"] = True
    browser, server = browser_of(person()), add_oauth_server(oauth_peer)

    begun = begin(browser, server)

    fields = dict(parse_qsl(urlsplit(begun["Location"]).query))
    assert fields["client_id"] == f"https://testserver{page(server, 'client.json')}"
    assert not oauth_peer.to("/register")


def test_an_access_that_nothing_renews_says_when_it_ends(oauth_peer: OAuthServer) -> None:
    user, server = person(), add_oauth_server(oauth_peer)
    hold(oauth_peer, server, user, refresh_token="")
    browser = browser_of(user)
    words = []
    for ahead in (timedelta(days=3, hours=1), timedelta(hours=1), timedelta(hours=-1)):
        OAuthToken.objects.update(expires_at=timezone.now() + ahead)
        words.append(state(browser))

    assert "expires in 3 days; connect it again then" in words[0]
    assert "expires in less than a day" in words[1]
    assert "Needs attention: The access has ended." in words[2]


def test_an_access_that_renews_itself_says_no_end(oauth_peer: OAuthServer) -> None:
    user, server = person(), add_oauth_server(oauth_peer)
    hold(oauth_peer, server, user, ended=True)

    shown = state(browser_of(user))

    assert "expires" not in shown
    assert "Needs attention" not in shown


def test_a_server_with_another_address_needs_the_account_again(oauth_peer: OAuthServer) -> None:
    user, server = person(), add_oauth_server(oauth_peer)
    hold(oauth_peer, server, user)
    server.endpoint_url += "/v2"
    server.save()

    assert "The server has another address now." in state(browser_of(user))


def test_the_page_runs_no_script_and_is_kept_by_nobody(oauth_peer: OAuthServer) -> None:
    add_oauth_server(oauth_peer)

    answer = browser_of(person()).get(ACCOUNTS, secure=True)

    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert "no-store" in answer["Cache-Control"]
    assert b"<script" not in answer.content
    assert b"style=" not in answer.content


def test_a_servers_name_is_text(oauth_peer: OAuthServer) -> None:
    server = add_oauth_server(oauth_peer)
    server.name = "<b>Shop"
    server.save()

    assert "&lt;b&gt;Shop" in state(browser_of(person()))
