import base64
import hashlib
import json
from dataclasses import replace

import pytest

from automate_llm import oauth
from automate_llm.exceptions import AuthorizationFailed
from automate_llm.oauth import (
    Challenge,
    MemoryTokenStore,
    Pending,
    Token,
    begin_authorization,
    complete_authorization,
)

from .authorizing import (
    CALLBACK,
    PERSON,
    answered,
    browse,
    client_of,
    connected,
    query_of,
    to,
    token_of,
)


def test_a_person_connects_an_account_and_calls_a_tool(oauth_server):
    token = connected(oauth_server)

    value = client_of(oauth_server, MemoryTokenStore(token)).execute_tool("tool", {})

    assert value == "done"
    assert oauth_server.grants() == ["authorization_code"]


def test_the_authorization_request_has_all_that_the_specification_wants(oauth_server):
    address, pending = begin_authorization(to(oauth_server), PERSON)

    asked = query_of(address)
    digest = hashlib.sha256(pending.code_verifier.encode()).digest()
    assert asked == {
        "response_type": "code",
        "client_id": "client-1",
        "redirect_uri": CALLBACK,
        "state": pending.state,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "resource": oauth_server.url,
    }


def test_the_code_goes_out_with_its_verifier_resource_and_redirect(oauth_server):
    connected(oauth_server)

    form = oauth_server.to("/token")[0].body
    assert form["resource"] == oauth_server.url
    assert form["redirect_uri"] == CALLBACK
    assert len(form["code_verifier"]) >= 43


def test_two_authorizations_share_nothing_secret(oauth_server):
    _, one = begin_authorization(to(oauth_server), PERSON)
    _, other = begin_authorization(to(oauth_server), PERSON)

    assert one.state != other.state
    assert one.code_verifier != other.code_verifier


def test_an_endpoints_own_query_is_kept_and_rules_nothing(oauth_server):
    oauth_server.metadata["authorization_endpoint"] += "?tenant=a&client_id=other"

    address, _ = begin_authorization(to(oauth_server), PERSON)

    assert query_of(address)["tenant"] == "a"
    assert address.count("client_id=") == 1
    assert query_of(address)["client_id"] == "client-1"


@pytest.mark.parametrize("redirect_uri", ["http://site.example/back", "javascript:1", ""])
def test_people_come_back_over_https(oauth_server, redirect_uri):
    with pytest.raises(AuthorizationFailed, match="must be https"):
        begin_authorization(to(oauth_server), replace(PERSON, redirect_uri=redirect_uri))
    assert not oauth_server.requests


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "another"},
        {"state": None},
        {"state": ""},
        {"state": "é"},
        {"code": None},
        {"code": ""},
        {"code": "x" * 5_000},
    ],
)
def test_an_answer_that_does_not_belong_here_is_not_used(oauth_server, changes):
    with pytest.raises(AuthorizationFailed, match="begin again"):
        answered(oauth_server, **changes)
    assert not oauth_server.grants()


def test_an_answer_from_the_right_issuer_is_used(oauth_server):
    oauth_server.metadata["authorization_response_iss_parameter_supported"] = True

    assert answered(oauth_server, iss=oauth_server.issuer).access_token


@pytest.mark.parametrize("advertised", [True, False])
@pytest.mark.parametrize("change", ["/", "/x", "evil"])
def test_an_answer_from_another_issuer_is_not_used(oauth_server, advertised, change):
    oauth_server.metadata["authorization_response_iss_parameter_supported"] = advertised

    with pytest.raises(AuthorizationFailed, match="another authorization server"):
        answered(oauth_server, iss=oauth_server.issuer + change)
    assert not oauth_server.grants()


def test_an_answer_without_the_issuer_is_not_used_where_it_was_promised(oauth_server):
    oauth_server.metadata["authorization_response_iss_parameter_supported"] = True

    with pytest.raises(AuthorizationFailed, match="does not say"):
        answered(oauth_server)
    assert not oauth_server.grants()


def test_a_persons_no_is_told_in_words(oauth_server):
    with pytest.raises(AuthorizationFailed, match="denied") as caught:
        answered(oauth_server, code=None, error="access_denied", error_description="<b>Pay here")

    assert caught.value.code == "access_denied"
    assert "Pay here" not in str(caught.value)


def test_an_unknown_error_is_not_repeated(oauth_server):
    with pytest.raises(AuthorizationFailed) as caught:
        answered(oauth_server, code=None, error="call +1 900")

    assert "900" not in str(caught.value)


def test_an_error_of_another_issuer_is_not_even_told(oauth_server):
    with pytest.raises(AuthorizationFailed, match="another authorization server"):
        answered(oauth_server, iss="https://evil.example", error="access_denied")


def test_an_answer_that_comes_too_late_is_not_used(oauth_server):
    connection = to(oauth_server)
    address, pending = begin_authorization(connection, PERSON)
    late = replace(pending, begun_at=pending.begun_at - 601)

    with pytest.raises(AuthorizationFailed, match="too long"):
        complete_authorization(connection, PERSON, late, browse(address))


def test_an_answer_is_not_used_for_a_server_that_has_moved(oauth_server):
    address, pending = begin_authorization(to(oauth_server), PERSON)
    moved = to(oauth_server, url=oauth_server.issuer + "/other")

    with pytest.raises(AuthorizationFailed, match="has changed"):
        complete_authorization(moved, PERSON, pending, browse(address))


def test_what_is_pending_survives_storage(oauth_server):
    connection = to(oauth_server)
    address, pending = begin_authorization(connection, PERSON)
    stored = json.loads(json.dumps(pending.as_dict()))

    token = complete_authorization(connection, PERSON, Pending.from_dict(stored), browse(address))

    assert Pending.from_dict(stored) == pending
    assert Token.from_dict(json.loads(json.dumps(token.as_dict()))) == token


@pytest.mark.parametrize(
    ("challenged", "configured", "supported", "asked"),
    [
        (("a",), ("b",), ["c"], "a"),
        ((), ("b",), ["c"], "b"),
        ((), (), ["c", "d"], "c d"),
        ((), (), [], None),
        ((), (), None, None),
    ],
)
def test_scopes_are_chosen_in_the_specified_order(
    oauth_server, challenged, configured, supported, asked
):
    if supported is not None:
        oauth_server.resource_metadata["scopes_supported"] = supported
    config = replace(PERSON, scopes=configured)

    address, _ = begin_authorization(
        to(oauth_server), config, challenge=Challenge(scopes=challenged)
    )

    assert query_of(address).get("scope") == asked


def test_more_rights_are_asked_for_together_with_those_before(oauth_server):
    before = token_of(oauth_server, scope="read")

    address, _ = begin_authorization(
        to(oauth_server), PERSON, challenge=Challenge(scopes=("write",)), token=before
    )

    assert query_of(address)["scope"] == "read write"


def test_offline_access_is_asked_for_where_it_is_offered(oauth_server):
    oauth_server.metadata["scopes_supported"] = ["offline_access"]

    address, _ = begin_authorization(to(oauth_server), PERSON)

    assert query_of(address)["scope"] == "offline_access"


def test_no_secret_shows_in_a_repr(oauth_server):
    config = replace(PERSON, client_secret="the-secret", private_key="the-key")
    _, pending = begin_authorization(to(oauth_server), PERSON)
    token = connected(oauth_server)

    shown = f"{config!r} {pending!r} {token!r}"
    for secret in (
        "the-secret",
        "the-key",
        pending.state,
        pending.code_verifier,
        token.access_token,
        token.refresh_token,
        token.binding.client.client_secret,
    ):
        assert secret
        assert secret not in shown


def test_the_package_offers_what_it_says():
    for name in oauth.__all__:
        assert getattr(oauth, name)
    assert sorted(oauth.__all__) == oauth.__all__
