from dataclasses import replace

import pytest

from automate_llm.exceptions import AuthorizationFailed
from automate_llm.oauth import Client, begin_authorization, client_metadata_document
from tests.servers.oauth import Reply

from .authorizing import CALLBACK, PERSON, connected, to

DOCUMENT = "https://site.example/client.json"


def test_a_client_that_was_registered_beforehand_comes_first(oauth_server):
    oauth_server.metadata["client_id_metadata_document_supported"] = True
    oauth_server.clients["ours"] = "our secret: + / %"
    config = replace(
        PERSON,
        client_id="ours",
        client_secret="our secret: + / %",
        client_metadata_url=DOCUMENT,
    )

    token = connected(oauth_server, config)

    assert token.binding.client.client_id == "ours"
    assert not oauth_server.to("/register")
    assert "client_secret" not in oauth_server.to("/token")[0].body


def test_a_metadata_document_comes_before_a_registration(oauth_server):
    oauth_server.metadata["client_id_metadata_document_supported"] = True

    token = connected(oauth_server, replace(PERSON, client_metadata_url=DOCUMENT))

    assert token.binding.client.client_id == DOCUMENT
    assert not oauth_server.to("/register")


@pytest.mark.parametrize("url", ["http://site.example/client.json", "https://site.example/", ""])
def test_an_address_that_is_no_metadata_document_is_not_used(oauth_server, url):
    oauth_server.metadata["client_id_metadata_document_supported"] = True

    token = connected(oauth_server, replace(PERSON, client_metadata_url=url))

    assert token.binding.client.client_id == "client-1"


def test_the_metadata_document_says_what_a_registration_says():
    document = client_metadata_document(replace(PERSON, client_metadata_url=DOCUMENT))

    assert document["client_id"] == DOCUMENT
    assert document["redirect_uris"] == [CALLBACK]
    assert "refresh_token" in document["grant_types"]


@pytest.mark.parametrize(
    ("redirect_uri", "kind"),
    [(CALLBACK, "web"), ("http://localhost:8000/callback", "native")],
)
def test_a_registration_says_what_kind_of_application_it_is(oauth_server, redirect_uri, kind):
    begin_authorization(to(oauth_server), replace(PERSON, redirect_uri=redirect_uri))

    assert oauth_server.to("/register")[0].body["application_type"] == kind


def test_a_registration_is_used_again_at_its_own_issuer_only(oauth_server):
    _, pending = begin_authorization(to(oauth_server), PERSON)
    ours = pending.binding.client
    strange = replace(ours, issuer="https://other.example", client_id="of-another")

    _, again = begin_authorization(to(oauth_server), PERSON, client=ours)
    _, new = begin_authorization(to(oauth_server), PERSON, client=strange)

    assert again.binding.client == ours
    assert new.binding.client.client_id == "client-2"


@pytest.mark.parametrize("changes", [{"expires_at": 1.0}, {"redirect_uri": "https://old.example"}])
def test_a_registration_that_has_ended_is_made_anew(oauth_server, changes):
    old = Client(oauth_server.issuer, "old", redirect_uri=CALLBACK)

    _, pending = begin_authorization(to(oauth_server), PERSON, client=replace(old, **changes))

    assert pending.binding.client.client_id == "client-1"


def test_a_refused_registration_says_what_to_do(oauth_server):
    oauth_server.routes["POST", "/register"] = lambda seen: Reply(
        400, {"error": "invalid_redirect_uri", "error_description": "<script>"}
    )

    with pytest.raises(AuthorizationFailed, match="redirect address") as caught:
        begin_authorization(to(oauth_server), PERSON)
    assert "script" not in str(caught.value)


def test_without_any_registration_a_client_id_is_asked_for(oauth_server):
    del oauth_server.metadata["registration_endpoint"]

    with pytest.raises(AuthorizationFailed, match="enter its client id"):
        begin_authorization(to(oauth_server), PERSON)


def test_a_configured_client_is_not_shown_to_another_issuer(oauth_server):
    config = replace(PERSON, client_id="ours", client_secret="secret", issuer="https://as.example")

    with pytest.raises(AuthorizationFailed, match="other authorization servers"):
        begin_authorization(to(oauth_server), config)
    assert not oauth_server.to("/.well-known/oauth-authorization-server")
