import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from automate_llm.authentication import Refusal
from automate_llm.exceptions import (
    AuthorizationFailed,
    AuthorizationRequired,
    DeadlineExceeded,
    MCPClientError,
    UnexpectedStatus,
)
from automate_llm.exchange import Exchange
from automate_llm.oauth import MemoryTokenStore, OAuthAuthenticator, OAuthConfig
from automate_llm.transports.sessions import Session, Sessions
from tests.servers.oauth import OAuthServer, Reply

from .authorizing import PERSON, client_of, to, token_of

MACHINE = OAuthConfig(
    grant="client_credentials", client_id="machine", client_secret="machine-secret"
)


@pytest.fixture
def machine_server(oauth_server):
    oauth_server.clients["machine"] = "machine-secret"
    return oauth_server


def expired(server: OAuthServer, **changes: object) -> MemoryTokenStore:
    return MemoryTokenStore(token_of(server, expires_at=time.time() - 1, **changes))


def executed(server: OAuthServer) -> list[str]:
    """The credentials of every request that reached the tool's address."""
    return [seen.headers.get("authorization", "") for seen in server.to("/api/execute")]


def test_a_person_without_an_account_is_asked_to_connect_one(oauth_server):
    oauth_server.scope = "write"

    with pytest.raises(AuthorizationRequired, match="Connect your account") as caught:
        client_of(oauth_server, MemoryTokenStore()).execute_tool("tool", {})

    assert caught.value.challenge is not None
    assert caught.value.challenge.scopes == ("write",)
    assert caught.value.challenge.resource_metadata.startswith(oauth_server.issuer)
    assert not caught.value.may_have_run


def test_a_token_goes_with_each_request(oauth_server):
    token = token_of(oauth_server)
    client = client_of(oauth_server, MemoryTokenStore(token))

    client.discover_tools()
    client.execute_tool("tool", {})

    sent = [seen.headers["authorization"] for seen in oauth_server.requests]
    assert sent == [f"Bearer {token.access_token}"] * 2


def test_a_token_is_never_sent_to_another_server(oauth_server):
    token = token_of(oauth_server)
    with OAuthServer() as other:
        client = client_of(other, MemoryTokenStore(token))

        with pytest.raises(AuthorizationRequired):
            client.execute_tool("tool", {})

        assert other.requests
        assert not [seen for seen in other.requests if "authorization" in seen.headers]


def test_a_token_is_never_sent_to_another_address_than_its_servers(oauth_server):
    store = MemoryTokenStore(token_of(oauth_server))
    authenticator = OAuthAuthenticator(to(oauth_server), PERSON, store)

    with pytest.raises(MCPClientError, match="another server"):
        authenticator.headers(Exchange(5), "POST", "https://evil.example/api")


def test_an_expired_token_is_renewed_before_it_is_used(oauth_server):
    store = expired(oauth_server)
    before = store.get()

    client_of(oauth_server, store).execute_tool("tool", {})

    after = store.get()
    assert executed(oauth_server) == [f"Bearer {after.access_token}"]
    assert after.access_token != before.access_token
    assert after.refresh_token != before.refresh_token
    assert oauth_server.to("/token")[0].body["resource"] == oauth_server.url


def test_a_refresh_token_that_is_not_replaced_stays(oauth_server):
    store = expired(oauth_server)
    before = store.get()
    issued = oauth_server.issue()
    del issued["refresh_token"]
    oauth_server.routes["POST", "/token"] = lambda seen: Reply(200, issued)

    client_of(oauth_server, store).execute_tool("tool", {})

    assert store.get().refresh_token == before.refresh_token


def test_twenty_threads_with_one_expired_token_renew_it_once(oauth_server):
    store = expired(oauth_server)
    at_once = threading.Barrier(20)

    def call() -> object:
        client = client_of(oauth_server, store)
        at_once.wait(10)
        return client.execute_tool("tool", {})

    with ThreadPoolExecutor(20) as pool:
        values = [each.result() for each in [pool.submit(call) for _ in range(20)]]

    assert values == ["done"] * 20
    assert oauth_server.grants() == ["refresh_token"]


def test_twenty_threads_with_one_refused_token_renew_it_once(oauth_server):
    store = MemoryTokenStore(token_of(oauth_server))
    oauth_server.tokens.clear()
    at_once = threading.Barrier(20)

    def call() -> object:
        client = client_of(oauth_server, store)
        at_once.wait(10)
        return client.execute_tool("tool", {})

    with ThreadPoolExecutor(20) as pool:
        values = [each.result() for each in [pool.submit(call) for _ in range(20)]]

    assert values == ["done"] * 20
    assert oauth_server.grants() == ["refresh_token"]


def test_a_token_that_another_process_renewed_is_used_as_it_is(oauth_server):
    store = MemoryTokenStore(token_of(oauth_server))
    authenticator = OAuthAuthenticator(to(oauth_server), PERSON, store)
    refusal = Refusal(401, {}, {"Authorization": "Bearer the-one-before"}, attempt=0)

    assert authenticator.challenged(Exchange(5), refusal)
    assert not oauth_server.requests


def test_an_expired_refresh_token_asks_the_person_in_words_and_is_not_tried_again(oauth_server):
    store = expired(oauth_server)
    oauth_server.refresh_tokens.clear()
    client = client_of(oauth_server, store)

    for _ in range(2):
        with pytest.raises(AuthorizationRequired, match="Connect your account") as caught:
            client.execute_tool("tool", {})

    assert oauth_server.grants() == ["refresh_token"]
    assert not executed(oauth_server)
    assert not caught.value.may_have_run
    assert "token" not in str(caught.value)


def test_what_the_store_saves_of_a_dead_token_is_saved_before_the_error(oauth_server):
    class Undoing(MemoryTokenStore):
        """As a database does: a block that fails leaves nothing behind."""

        def locked(self, seconds):
            return _Undone(self, super().locked(seconds))

    store = Undoing(expired(oauth_server).get())
    oauth_server.refresh_tokens.clear()

    with pytest.raises(AuthorizationRequired):
        client_of(oauth_server, store).execute_tool("tool", {})

    assert store.get().refresh_token == ""


class _Undone:
    def __init__(self, store, lock):
        self._store, self._lock = store, lock

    def __enter__(self):
        self._lock.__enter__()
        self._before = self._store.get()

    def __exit__(self, kind, error, traceback):
        if kind is not None:
            self._store.save(self._before)
        return self._lock.__exit__(kind, error, traceback)


def test_a_token_without_refresh_asks_the_person_when_it_ends(oauth_server):
    store = expired(oauth_server, refresh_token="")

    with pytest.raises(AuthorizationRequired):
        client_of(oauth_server, store).execute_tool("tool", {})
    assert not oauth_server.requests


def test_a_token_endpoint_that_answers_html_is_told_and_the_token_kept(oauth_server):
    store = expired(oauth_server)
    before = store.get()
    oauth_server.routes["POST", "/token"] = lambda seen: Reply(200, "<html>Maintenance")

    with pytest.raises(AuthorizationFailed, match="text/html instead of JSON") as caught:
        client_of(oauth_server, store).execute_tool("tool", {})

    assert store.get() == before
    assert "Maintenance" not in str(caught.value)
    assert before.refresh_token not in str(caught.value)


def test_a_refused_call_runs_once_with_the_new_token(oauth_server):
    store = MemoryTokenStore(token_of(oauth_server))
    oauth_server.tokens.clear()

    client_of(oauth_server, store).execute_tool("tool", {})

    accepted = [sent for sent in executed(oauth_server) if store.get().access_token in sent]
    assert len(executed(oauth_server)) == 2
    assert len(accepted) == 1


def test_a_server_that_refuses_every_token_is_asked_twice_only(oauth_server):
    store = MemoryTokenStore(token_of(oauth_server))
    oauth_server.routes["POST", "/api/execute"] = lambda seen: Reply(401, {})

    with pytest.raises(AuthorizationRequired, match="does not accept"):
        client_of(oauth_server, store).execute_tool("tool", {})
    assert len(executed(oauth_server)) == 2
    assert oauth_server.grants() == ["refresh_token"]


def test_nothing_is_sent_to_an_authorization_server_that_is_not_named_any_more(oauth_server):
    store = MemoryTokenStore(token_of(oauth_server))
    oauth_server.tokens.clear()
    oauth_server.resource_metadata["authorization_servers"] = ["https://new.example"]

    with pytest.raises(AuthorizationRequired, match="has moved"):
        client_of(oauth_server, store).execute_tool("tool", {})
    assert not oauth_server.grants()


def test_more_rights_need_the_person(oauth_server):
    oauth_server.scope = "write"
    store = MemoryTokenStore(token_of(oauth_server, scope="read"))

    with pytest.raises(AuthorizationRequired, match="more rights") as caught:
        client_of(oauth_server, store).execute_tool("tool", {})
    assert caught.value.challenge.scopes == ("write",)


def test_rights_that_were_asked_for_in_vain_are_not_asked_for_again(oauth_server):
    oauth_server.scope = "write"
    store = MemoryTokenStore(token_of(oauth_server, scope="read", scopes=("read", "write")))

    with pytest.raises(UnexpectedStatus, match="HTTP 403"):
        client_of(oauth_server, store).execute_tool("tool", {})


def test_a_plain_403_is_an_answer(oauth_server):
    store = MemoryTokenStore(token_of(oauth_server))
    oauth_server.routes["POST", "/api/execute"] = lambda seen: Reply(403, {})

    with pytest.raises(UnexpectedStatus, match="HTTP 403"):
        client_of(oauth_server, store).execute_tool("tool", {})
    assert len(executed(oauth_server)) == 1


def test_the_site_itself_gets_a_token_when_it_is_asked_for_one(machine_server):
    store = MemoryTokenStore()
    client = client_of(machine_server, store, MACHINE)

    client.execute_tool("tool", {})
    client.execute_tool("tool", {})

    assert machine_server.grants() == ["client_credentials"]
    assert store.get().binding.client.issuer == machine_server.issuer
    assert machine_server.to("/token")[0].body["resource"] == machine_server.url
    assert len(executed(machine_server)) == 3


def test_twenty_threads_of_the_site_get_one_token(machine_server):
    store = MemoryTokenStore()
    at_once = threading.Barrier(20)

    def call() -> object:
        client = client_of(machine_server, store, MACHINE)
        at_once.wait(10)
        return client.execute_tool("tool", {})

    with ThreadPoolExecutor(20) as pool:
        values = [each.result() for each in [pool.submit(call) for _ in range(20)]]

    assert values == ["done"] * 20
    assert machine_server.grants() == ["client_credentials"]


def test_the_site_gets_a_new_token_when_the_old_one_ends(machine_server):
    store = MemoryTokenStore()
    client = client_of(machine_server, store, MACHINE)
    client.execute_tool("tool", {})
    token = store.get()
    store.save(replace(token, expires_at=time.time() - 1, refresh_token=""))

    client.execute_tool("tool", {})

    assert machine_server.grants() == ["client_credentials"] * 2


def test_the_site_widens_its_rights_by_itself_and_once(machine_server):
    machine_server.scope = "write"
    store = MemoryTokenStore(token_of(machine_server, scope="read"))
    client = client_of(machine_server, store, MACHINE)

    client.execute_tool("tool", {})

    assert machine_server.to("/token")[0].body["scope"] == "read write"
    machine_server.scope = "admin"
    machine_server.routes["POST", "/token"] = lambda seen: Reply(200, machine_server.issue("read"))
    with pytest.raises(UnexpectedStatus, match="HTTP 403"):
        client.execute_tool("tool", {})
    assert len(machine_server.grants()) == 2


def test_a_wrong_secret_is_told_without_it(machine_server):
    config = replace(MACHINE, client_secret="a-wrong-secret")

    with pytest.raises(AuthorizationFailed, match="does not accept the client") as caught:
        client_of(machine_server, MemoryTokenStore(), config).execute_tool("tool", {})
    assert "a-wrong-secret" not in str(caught.value)
    assert len(machine_server.grants()) == 1


def test_the_sites_secret_does_not_follow_the_server_to_another_issuer(machine_server):
    store = MemoryTokenStore()
    client = client_of(machine_server, store, MACHINE)
    client.execute_tool("tool", {})
    machine_server.tokens.clear()
    with OAuthServer() as evil:
        machine_server.resource_metadata["authorization_servers"] = [evil.issuer]

        with pytest.raises(AuthorizationFailed, match="other authorization servers"):
            client.execute_tool("tool", {})

        assert not evil.requests


def test_a_wait_for_another_renewal_ends_with_the_deadline(oauth_server):
    store = expired(oauth_server)
    client = client_of(oauth_server, store, timeout=0.2)

    with store.locked(1), pytest.raises(DeadlineExceeded):
        client.execute_tool("tool", {})
    assert not oauth_server.requests


def test_a_token_that_comes_back_is_taken_out(oauth_server):
    token = token_of(oauth_server)
    oauth_server.routes["POST", "/api/execute"] = lambda seen: Reply(
        200, {"result": f"you sent {seen.headers['authorization']}"}
    )

    value = client_of(oauth_server, MemoryTokenStore(token)).execute_tool("tool", {})

    assert value == "you sent Bearer [redacted]"


def test_two_accounts_share_no_session(oauth_server):
    sessions, connection = Sessions(), to(oauth_server)
    one, other = (
        replace(
            connection,
            authenticator=OAuthAuthenticator(connection, PERSON, MemoryTokenStore(account=account)),
        )
        for account in ("1", "2")
    )
    session = Session("id", "2025-11-25", {})

    sessions.keep(one, session)

    assert sessions.of(one) is session
    assert sessions.of(other) is None
    assert sessions.of(connection) is None
