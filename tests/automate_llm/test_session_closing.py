"""Sessions that are not needed any more are ended on their servers."""

import subprocess
import sys
import threading

import pytest

from automate_llm.exceptions import ConnectionFailed
from automate_llm.mcp_client import MCPClient
from automate_llm.transports.session_closing import close_sessions
from automate_llm.values import Connection
from tests.servers.mcp_sdk import Offer

from .calling import call, known, to
from .test_sessions import handshaking, legacy


def deletions(server):
    return [seen for seen in server.requests if seen.method == "DELETE"]


def test_a_client_that_closes_ends_its_session_and_a_later_call_opens_another(sdk_server):
    server = sdk_server(Offer("tool"), legacy_only=True)
    connection = known(to(server))
    client = MCPClient(connection)
    client.call("tool", {})
    client.close()
    client.close()
    client.call("tool", {})

    [ended] = deletions(server)
    first, second = server.seen("tools/call")
    assert ended.headers["mcp-session-id"] == first.headers["mcp-session-id"]
    assert ended.headers["mcp-protocol-version"] == "2025-11-25"
    assert second.headers["mcp-session-id"] != first.headers["mcp-session-id"]


def test_nobody_elses_session_is_ended(raw_server):
    server = raw_server(handshaking(["for-anna", "for-ben"]))
    connection = legacy(server)
    clients = [MCPClient(connection, principal=name) for name in ("anna", "ben")]
    for client in clients:
        client.call("tool", {})
    server.script = lambda connection: connection.read_request()
    clients[0].close()

    assert [seen.headers["mcp-session-id"] for seen in deletions(server)] == ["for-anna"]


def test_all_sessions_of_the_process_are_ended_at_once(raw_server):
    servers = [raw_server(handshaking(["s1"])) for _ in range(2)]
    for server in servers:
        call(legacy(server))
        server.script = lambda connection: connection.read_request()
    close_sessions()
    close_sessions()

    assert [len(deletions(server)) for server in servers] == [1, 1]


def test_a_server_without_session_ids_has_nothing_to_end(raw_server):
    server = raw_server(handshaking([""]))
    client = MCPClient(legacy(server))
    client.call("tool", {})
    client.close()

    assert not deletions(server)


def test_a_server_that_is_gone_does_not_matter(raw_server):
    server = raw_server(handshaking(["s1"]))
    client = MCPClient(legacy(server))
    client.call("tool", {})
    server.stop()

    client.close()


LEAVING = """
import sys
from automate_llm.mcp_client import MCPClient
from automate_llm.values import Connection

url = sys.argv[1]
MCPClient(Connection("shop", url, protocol="mcp", private_hosts=None)).execute_tool("tool", {})
"""


NO_MORE_THREADS = """
import atexit, threading

def refuse(thread):
    raise RuntimeError("can't create new thread at interpreter shutdown")

atexit.register(lambda: setattr(threading.Thread, "start", refuse))
"""


NO_KEPT_CONNECTION = """
from automate_llm.http import close_pools

atexit.register(close_pools)
"""


def words_of_leaving(program, url):
    ran = subprocess.run(
        [sys.executable, "-c", program, url], check=True, timeout=30, capture_output=True, text=True
    )
    return ran.stdout + ran.stderr


@pytest.mark.parametrize("last", ["", NO_MORE_THREADS])
def test_a_process_that_ends_says_goodbye(sdk_server, last):
    server = sdk_server(Offer("tool"), legacy_only=True)

    assert not words_of_leaving(LEAVING + last, server.url)
    assert len(deletions(server)) == 1


def test_a_name_that_cannot_be_looked_up_any_more_is_left_in_silence(sdk_server):
    server = sdk_server(Offer("tool"), legacy_only=True)
    url = server.url.replace("127.0.0.1", "localhost")
    program = LEAVING + NO_MORE_THREADS + NO_KEPT_CONNECTION

    assert not words_of_leaving(program, url)


def test_a_name_is_not_blamed_where_no_thread_can_be_started(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    nowhere = Connection("shop", "http://shop.invalid/mcp", protocol="mcp", private_hosts=None)
    with pytest.raises(ConnectionFailed, match="no thread can be started"):
        MCPClient(nowhere).call("tool", {})
