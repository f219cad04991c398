import pytest

from automate_llm.exceptions import AuthorizationFailed, MCPClientError
from automate_llm.oauth import revoke
from tests.servers.oauth import Reply

from .authorizing import PERSON, answered, connected, to


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(200, "<html><title>Log in</title>"), "text/html instead of JSON"),
        (Reply(502, "<html>Bad gateway"), "HTTP 502"),
        (Reply(200, []), "instead of JSON"),
        (Reply(200, {}), "HTTP 200"),
        (Reply(200, {"access_token": 7, "token_type": "Bearer"}), "characters"),
        (Reply(200, {"access_token": "a\r\nb", "token_type": "Bearer"}), "characters"),
        (Reply(200, {"access_token": "secret-token", "token_type": "mac"}), "type"),
        (Reply(200, {"access_token": "secret-token", "token_type": "DPoP"}), "type"),
        (Reply(200, {"access_token": "secret-token"}), "type"),
        (Reply(302, {}, {"Location": "https://evil.example"}), "HTTP 302"),
        (Reply(400, {"error": "invalid_grant"}), "invalid_grant"),
        (Reply(400, {"error": "secret-token"}), "HTTP 400"),
    ],
)
def test_a_broken_token_answer_is_told_in_words(oauth_server, reply, words):
    oauth_server.routes["POST", "/token"] = lambda seen: reply

    with pytest.raises(MCPClientError, match=words) as caught:
        answered(oauth_server)
    assert "secret-token" not in str(caught.value)
    assert "Log in" not in str(caught.value)
    assert not caught.value.may_have_run


@pytest.mark.parametrize(
    ("expires_in", "known"), [(60, True), ("60", True), (None, False), (True, False), ("x", False)]
)
def test_a_tokens_end_is_known_where_it_is_said(oauth_server, expires_in, known):
    issued = oauth_server.issue() | {"expires_in": expires_in}
    oauth_server.routes["POST", "/token"] = lambda seen: Reply(200, issued)

    token = answered(oauth_server)

    assert (token.expires_at is not None) is known
    assert token.expires_within(61) is known
    assert not token.expires_within(30)


def test_a_token_is_ended_at_its_issuer(oauth_server):
    token = connected(oauth_server)

    ended = revoke(to(oauth_server), PERSON, token)

    form = oauth_server.to("/revoke")[0].body
    assert ended
    assert form["token"] == token.refresh_token
    assert form["token_type_hint"] == "refresh_token"
    assert "basic" in oauth_server.to("/revoke")[0].headers["authorization"].lower()


def test_a_token_that_cannot_be_ended_is_said_to_be(oauth_server):
    del oauth_server.metadata["revocation_endpoint"]

    assert not revoke(to(oauth_server), PERSON, connected(oauth_server))


def test_a_refused_end_of_a_token_is_told(oauth_server):
    oauth_server.routes["POST", "/revoke"] = lambda seen: Reply(503, "<html>")
    token = connected(oauth_server)

    with pytest.raises(AuthorizationFailed, match="did not end the token"):
        revoke(to(oauth_server), PERSON, token)
