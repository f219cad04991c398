import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from traceback import extract_stack

import pytest

from automate_llm import exchange
from automate_llm.exceptions import (
    DeadlineExceeded,
    LimitExceeded,
    ProtocolError,
    UnexpectedStatus,
)
from automate_llm.exchange import Exchange
from automate_llm.mcp_client import MCPClient
from automate_llm.transports.sessions import Session, Sessions
from automate_llm.values import Connection
from tests.servers.mcp_sdk import Offer

from .calling import after_request, call, failure, known, settled, to
from .stdio_calling import until

HERE = Connection("shop", "http://shop.example/mcp", headers={"Authorization": "Bearer one"})
OPEN = Session("s1", "2025-11-25", {})


def handshaking(session_ids, version="2025-11-25", reply=None):
    """The script of a server with a handshake, which gives these ids, one for each session."""
    session_ids = iter(session_ids)

    def script(connection):
        while True:
            seen = connection.read_request()
            headers = {}
            if seen.rpc_method == "initialize":
                result = {"protocolVersion": version, "capabilities": {}}
                headers = {"Mcp-Session-Id": next(session_ids)}
            elif seen.method == "DELETE" or seen.rpc_method == "notifications/initialized":
                connection.respond(b"", "202 Accepted")
                continue
            else:
                result = {"content": [{"type": "text", "text": "fine"}], "tools": []}
            answer = {"jsonrpc": "2.0", "id": seen.body["id"], "result": result}
            connection.respond(answer, headers=headers)

    return script


def legacy(server, **changes):
    return settled(server, protocol_version="2025-11-25", **changes)


def test_a_session_is_kept_until_it_is_forgotten():
    sessions = Sessions()
    sessions.keep(HERE, OPEN)

    assert sessions.of(HERE) is OPEN
    sessions.forget(HERE, OPEN)
    sessions.forget(HERE, OPEN)
    assert sessions.of(HERE) is None


def test_a_session_that_was_opened_since_then_is_not_forgotten():
    sessions, newer = Sessions(), Session("s1", "2025-11-25", {})
    sessions.keep(HERE, newer)
    sessions.forget(HERE, OPEN)

    assert sessions.of(HERE) is newer


def together(connection, count=20):
    """What so many threads' calls give that start at once."""
    start = threading.Barrier(count)

    def one(_):
        start.wait(5)
        return call(connection).text

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_threads_that_start_at_once_open_one_session_and_renew_it_once(sdk_server):
    server = sdk_server(Offer("tool"), legacy_only=True)
    connection = known(to(server))
    MCPClient(connection).close()
    before = len(server.seen("initialize"))
    texts = together(connection)
    opened = len(server.seen("initialize")) - before
    server.forget_sessions()

    assert together(connection) == texts
    assert opened == 1
    assert len(server.seen("initialize")) == before + 2


def test_whoever_waits_for_a_session_that_comes_to_nothing_opens_one(raw_server):
    shaking, refused, second = handshaking(["s1"]), threading.Event(), threading.Event()

    def script(connection):
        original = connection.read_request

        def read():
            seen = original()
            if seen.rpc_method == "initialize" and not refused.is_set():
                refused.set()
                assert second.wait(5)
                connection.respond(b"", "500 Internal Server Error")
                return original()
            return seen

        connection.read_request = read
        shaking(connection)

    connection = legacy(raw_server(script))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(failure, connection)
        assert refused.wait(5)
        other = pool.submit(call, connection)
        until(lambda: len(waiting_for_sessions()) == 1)
        second.set()

        assert isinstance(first.result(5), UnexpectedStatus)
        assert other.result(5).text == "fine"


def waiting_for_sessions():
    """The threads that wait for another one's handshake."""
    stacks = (extract_stack(frame) for frame in sys._current_frames().values())
    wait = Exchange.wait_for.__name__, exchange.__file__
    return [stack for stack in stacks if wait in {(each.name, each.filename) for each in stack}]


def test_a_wait_for_another_ones_session_ends_with_the_deadline(raw_server):
    server = raw_server(after_request(lambda connection: connection.wait_for_end()))
    connection = legacy(server, timeout=0.5)
    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(failure, connection) for _ in range(2)]
        errors = [end.result(5) for end in ends]

    assert [type(error) for error in errors] == [DeadlineExceeded] * 2
    assert not any(error.may_have_run for error in errors)


@pytest.mark.parametrize(
    "other",
    [
        Connection("ship", HERE.endpoint_url, HERE.headers),
        Connection("shop", "http://shop.example/other", HERE.headers),
        Connection("shop", HERE.endpoint_url, {"Authorization": "Bearer two"}),
        Connection("shop", HERE.endpoint_url),
        Connection("shop", HERE.endpoint_url, HERE.headers, principal="anna"),
    ],
)
def test_a_session_is_shared_by_no_two_servers_credentials_or_people(other):
    sessions = Sessions()
    sessions.keep(HERE, OPEN)

    assert sessions.of(other) is None


def test_the_oldest_of_a_thousand_sessions_makes_room():
    sessions = Sessions()
    connections = [Connection("shop", f"http://shop.example/{number}") for number in range(1_001)]
    for connection in connections:
        sessions.keep(connection, OPEN)

    assert sessions.of(connections[0]) is None
    assert all(map(sessions.of, connections[1:]))


FORKING = """
import os, sys
from automate_llm.http import _adapter, _shared
from automate_llm.transports.sessions import Session, sessions
from automate_llm.values import Connection

here = Connection("shop", "http://shop.example/mcp")
sessions.keep(here, Session("s1", "2025-11-25", {}))
_adapter(here)
if child := os.fork():
    kept = sessions.of(here) is not None and len(_shared.adapters) == 1
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.exit(status if kept else 2)
os._exit(0 if sessions.of(here) is None and not _shared.adapters else 1)
"""


def test_a_forked_process_starts_with_no_session_and_no_connection():
    assert subprocess.run([sys.executable, "-c", FORKING], check=False).returncode == 0


def test_a_session_serves_every_call_of_one_person_and_of_no_other(raw_server):
    server = raw_server(handshaking(["for-anna", "for-ben"]))
    connection = legacy(server)
    for person in ("anna", "ben", "anna"):
        assert MCPClient(connection, principal=person).execute_tool("tool", {}) == "fine"

    calls = [seen for seen in server.requests if seen.rpc_method == "tools/call"]
    assert [seen.headers["mcp-session-id"] for seen in calls] == ["for-anna", "for-ben", "for-anna"]
    assert "anna" not in {value for seen in calls for value in seen.headers.values()}


@pytest.mark.parametrize("session_id", ["x" * 257, "a b", "a\tb", "a\xffb", "caf\xe9"])
def test_a_session_id_that_no_header_may_carry_is_refused(raw_server, session_id):
    server = raw_server(handshaking([session_id]))
    error = failure(legacy(server))

    assert isinstance(error, ProtocolError)
    assert not error.may_have_run
    assert session_id not in str(error)


def test_a_session_id_of_256_characters_is_taken(raw_server):
    server = raw_server(handshaking(["x" * 256]))

    assert call(legacy(server)).text == "fine"


def test_a_server_that_says_too_much_of_itself_opens_no_session(raw_server):
    def script(connection):
        seen = connection.read_request()
        about = {"protocolVersion": "2025-11-25", "instructions": "x" * 300_000}
        connection.respond({"jsonrpc": "2.0", "id": seen.body["id"], "result": about})

    error = failure(legacy(raw_server(script)))

    assert isinstance(error, LimitExceeded)
    assert not error.may_have_run


def test_a_server_without_session_ids_gets_none(raw_server):
    server = raw_server(handshaking([""]))
    call(legacy(server))

    assert "mcp-session-id" not in server.requests[-1].headers


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_every_handshake_version_is_spoken(raw_server, version):
    server = raw_server(handshaking(["s1"], version))

    assert call(legacy(server)).text == "fine"
    assert server.requests[-1].headers["mcp-protocol-version"] == version


@pytest.mark.parametrize("version", ["2026-07-28", "1999-01-01", "", 7, None, ["2025-11-25"]])
def test_another_version_is_refused(raw_server, version):
    error = failure(legacy(raw_server(handshaking(["s1"], version))))

    assert isinstance(error, ProtocolError)
    assert not error.may_have_run


def test_a_credential_that_changes_opens_another_session(sdk_server):
    server = sdk_server(legacy_only=True)
    for token in ("one", "two", "one"):
        MCPClient(to(server, headers={"Authorization": f"Bearer {token}"})).discover()

    assert len({seen.headers["authorization"] for seen in server.seen("initialize")}) == 2
    for seen in server.seen("tools/list"):
        mine = [
            each
            for each in server.seen("tools/list")
            if each.headers["mcp-session-id"] == seen.headers["mcp-session-id"]
        ]
        assert {each.headers["authorization"] for each in mine} == {seen.headers["authorization"]}
