import requests

from .oauth import OAuthServer


def renew(server: OAuthServer, refresh_token: str) -> requests.Response:
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": "a"}
    return requests.post(f"{server.issuer}/token", data=form, timeout=10)


def test_the_second_use_of_a_refresh_token_ends_everything():
    with OAuthServer() as server:
        issued = server.issue()
        new = renew(server, issued["refresh_token"]).json()

        again = renew(server, issued["refresh_token"])

        assert again.json() == {"error": "invalid_grant"}
        assert renew(server, new["refresh_token"]).status_code == 400
        assert not server.tokens


def test_a_code_is_good_only_with_its_verifier():
    with OAuthServer() as server:
        query = {"redirect_uri": "https://a.example", "state": "s", "code_challenge": "c"}
        answer = requests.get(
            f"{server.issuer}/authorize", params=query, allow_redirects=False, timeout=10
        )
        form = {"grant_type": "authorization_code", "code": "code-1", "code_verifier": "wrong"}

        refused = requests.post(f"{server.issuer}/token", data=form, timeout=10)

        assert answer.headers["Location"] == "https://a.example?code=code-1&state=s"
        assert refused.json() == {"error": "invalid_grant"}
