"""One token and many processes that need another."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.db import connection

from tests.automate.oauth_making import add_oauth_server, hold, person, row_of
from tests.servers.oauth import OAuthServer, Reply
from tests.servers.recording import Seen

PROCESSES = 20
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.django_db(transaction=True)


def outcomes(processes: int, server_id: int, user_id: int) -> list[str]:
    """What so many processes say that call at the same time."""
    command = [
        sys.executable,
        "-m",
        "tests.processes.calling_process",
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
