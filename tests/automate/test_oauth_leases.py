"""The lease under which a token is renewed: it runs out, and holds nothing up meanwhile."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from automate.models import OAuthToken
from tests.automate_llm.authorizing import token_of
from tests.servers.oauth import OAuthServer, Reply
from tests.servers.recording import Seen

from .oauth_making import add_oauth_server, call, hold, person, row_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_lease_of_a_process_that_died_runs_out(oauth_peer: OAuthServer) -> None:
    user, server = person(), add_oauth_server(oauth_peer, timeout=20)
    hold(oauth_peer, server, user, ended=True)
    until = timezone.now() + timedelta(seconds=0.3)
    OAuthToken.objects.update(lease="of somebody who died", leased_until=until)

    assert call(server, user) == "done"

    assert oauth_peer.grants() == ["refresh_token"]


def test_what_a_lease_that_ran_out_saves_is_not_kept(oauth_peer: OAuthServer) -> None:
    user, server = person(), add_oauth_server(oauth_peer)
    hold(oauth_peer, server, user, ended=True)
    late = server.token_store(user)
    with late.locked(1):
        newer = hold(oauth_peer, server, user)
        late.save(token_of(oauth_peer))

    assert row_of(server, user).token == newer


def test_a_wait_for_a_lease_ends(oauth_peer: OAuthServer) -> None:
    server, user = add_oauth_server(oauth_peer), person()
    with (
        server.token_store(user).locked(30),
        pytest.raises(TimeoutError),
        server.token_store(user).locked(0.1),
    ):
        raise AssertionError("two hold the lease")


def test_a_thread_of_a_call_leaves_no_database_connection(oauth_peer: OAuthServer) -> None:
    user, server = person(), add_oauth_server(oauth_peer)
    hold(oauth_peer, server, user, ended=True)
    left: list[object] = []

    def work() -> None:
        call(server, user)
        left.append(connection.connection)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert left == [None]


def test_nobody_waits_for_the_network_in_a_transaction(oauth_peer: OAuthServer) -> None:
    user, server = person(), add_oauth_server(oauth_peer)
    hold(oauth_peer, server, user, ended=True)
    answering = oauth_peer.routes["POST", "/token"]

    def renew(seen: Seen) -> Reply:
        try:
            OAuthToken.objects.update(attention="written meanwhile")
        finally:
            connection.close()
        return answering(seen)

    oauth_peer.routes["POST", "/token"] = renew

    assert call(server, user) == "done"
