"""One token and many processes that need another."""

import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from automate.models import OAuthToken
from tests.automate_llm.authorizing import token_of
from tests.servers.oauth import OAuthServer, Reply
from tests.servers.recording import Seen

from .oauth_making import add_oauth_server, call, hold, person, row_of

PROCESSES = 20
ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.django_db(transaction=True)


def outcomes(processes: int, server_id: int, user_id: int) -> list[str]:
    """What so many processes say that call at the same time."""
    command = [
        sys.executable,
        "-m",
        "tests.automate.calling_process",
        str(connection.settings_dict["NAME"]),
        str(server_id),
        str(user_id),
        str(processes),
    ]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process.communicate("go\n", timeout=60)[0].splitlines()


def test_an_expired_token_is_renewed_once_by_all_processes(oauth_peer: OAuthServer) -> None:
    user, server = person(), add_oauth_server(oauth_peer)
    old = hold(oauth_peer, server, user, ended=True)
    slowly = oauth_peer.routes["POST", "/token"]

    def renew(seen: Seen) -> Reply:
        time.sleep(0.3)  # so long that every process has asked for the lease
        return slowly(seen)

    oauth_peer.routes["POST", "/token"] = renew

    assert outcomes(PROCESSES, server.pk, user.pk) == ["done"] * PROCESSES

    assert oauth_peer.grants() == ["refresh_token"]
    new = row_of(server, user).token
    assert new is not None
    assert new.access_token != old.access_token
    assert {seen.headers["authorization"] for seen in oauth_peer.to("/api/execute")} == {
        f"Bearer {new.access_token}"
    }


def test_a_refresh_token_that_ended_is_tried_once_by_all_processes(
    oauth_peer: OAuthServer,
) -> None:
    user, server = person(), add_oauth_server(oauth_peer)
    hold(oauth_peer, server, user, ended=True)
    oauth_peer.refresh_tokens.clear()

    said = outcomes(2, server.pk, user.pk)

    assert all(each.startswith("AuthorizationRequired") for each in said)
    assert oauth_peer.grants() == ["refresh_token"]
    assert "Connect your account" in row_of(server, user).attention


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
