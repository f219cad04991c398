"""Servers that say when their lists change, and for how long a list is fresh."""

import json
import math
import queue
import threading
from dataclasses import replace

import pytest

from automate_llm.cancellation import Cancellation
from automate_llm.exceptions import MCPClientError, RPCError, UnexpectedStatus
from automate_llm.mcp_client import MCPClient
from automate_llm.transports import listening
from tests.servers.mcp_sdk import Offer
from tests.servers.raw import chunk, head

from . import stdio_calling
from .calling import known, settled, to
from .test_sessions import handshaking, legacy

STREAM = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}


no_process_is_left = pytest.fixture(scope="module", autouse=True)(stdio_calling.no_process_is_left)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(listening, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(listening, "MAX_PAUSE_SECONDS", 0.02)


class Listening:
    """Listens in a thread to what a connection's server says."""

    def __init__(self, connection):
        self.cancellation = Cancellation()
        self.error = None
        self._kinds = queue.SimpleQueue()
        self._client = MCPClient(connection)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self.cancellation.cancel()
        self.join()

    def next(self):
        return self._kinds.get(timeout=5)

    def join(self):
        self._thread.join(5)
        assert not self._thread.is_alive()

    def _run(self):
        try:
            self._client.listen(self._kinds.put, self.cancellation)
        except MCPClientError as exc:
            self.error = exc


def event(method, **params):
    message = {"jsonrpc": "2.0", "method": method, **({"params": params} if params else {})}
    return chunk(b"data: " + json.dumps(message).encode() + b"\n\n")


def acknowledged():
    return event("notifications/subscriptions/acknowledged", notifications={})


def test_a_modern_sdk_server_tells_of_its_change(sdk_server):
    server = sdk_server(Offer("one"))
    connection = known(to(server))
    with Listening(connection) as heard:
        announced = announcing(server, heard)

    assert announced == "tools"
    [asked] = server.seen("subscriptions/listen")
    assert asked.headers["mcp-method"] == "subscriptions/listen"
    assert asked.body["params"]["notifications"] == {
        "toolsListChanged": True,
        "promptsListChanged": True,
        "resourcesListChanged": True,
    }


def announcing(server, heard):
    """Announce until it is heard: a request that was seen is not yet a subscription."""
    for _ in range(100):
        server.announce_change()
        try:
            return heard._kinds.get(timeout=0.05)
        except queue.Empty:
            continue
    raise AssertionError("nothing was heard")


@pytest.mark.parametrize("kind", ["tools", "prompts", "resources"])
def test_an_older_server_tells_of_its_change_on_the_sessions_stream(raw_server, kind):
    shaking = handshaking(["s1", "s2"])

    def script(connection):
        original = connection.read_request

        def read():
            seen = original()
            if seen.method != "GET":
                return seen
            connection.send(head("200 OK", STREAM))
            connection.send(event("notifications/message", level="info"))
            connection.send(event(f"notifications/{kind}/list_changed"))
            connection.wait_for_end()
            return original()

        connection.read_request = read
        shaking(connection)

    server = raw_server(script)
    with Listening(legacy(server)) as heard:
        assert heard.next() == kind

    [opened] = [seen for seen in server.requests if seen.method == "GET"]
    assert opened.headers["mcp-session-id"] == "s1"
    assert opened.headers["accept"] == "text/event-stream"


def test_a_stream_that_ends_is_opened_again_and_what_was_missed_is_made_good(raw_server):
    def script(connection):
        while True:
            connection.read_request()
            connection.send(head("200 OK", STREAM) + acknowledged() + chunk(b""))

    server = raw_server(script)
    with Listening(settled(server)) as heard:
        assert [heard.next(), heard.next()] == ["tools", "tools"]

    ids = [seen.body["id"] for seen in server.requests]
    assert len(ids) >= 3
    assert len(set(ids)) == len(ids)


def test_the_first_stream_makes_nothing_good(raw_server):
    def script(connection):
        connection.read_request()
        changed = event("notifications/prompts/list_changed")
        connection.send(head("200 OK", STREAM) + acknowledged() + changed)
        connection.wait_for_end()

    with Listening(settled(raw_server(script))) as heard:
        assert heard.next() == "prompts"


def test_a_server_that_closes_in_peace_is_listened_to_again(raw_server):
    def script(connection):
        while True:
            seen = connection.read_request()
            done = {"jsonrpc": "2.0", "id": seen.body["id"], "result": {}}
            last = chunk(b"data: " + json.dumps(done).encode() + b"\n\n")
            connection.send(head("200 OK", STREAM) + acknowledged() + last + chunk(b""))

    with Listening(settled(raw_server(script))) as heard:
        assert heard.next() == "tools"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        ("405 Method Not Allowed", b"", UnexpectedStatus),
        ("401 Unauthorized", b"", UnexpectedStatus),
        ("404 Not Found", {"jsonrpc": "2.0", "error": {"code": -32601, "message": ""}}, RPCError),
    ],
)
def test_a_server_that_cannot_be_listened_to_is_left_alone(raw_server, status, body, kind):
    def script(connection):
        while True:
            connection.read_request()
            connection.respond(body, status)

    server = raw_server(script)
    with Listening(settled(server)) as heard:
        heard.join()

    assert isinstance(heard.error, kind)
    assert len(server.requests) == 1


def test_an_older_server_without_a_stream_is_left_alone(raw_server):
    shaking = handshaking(["s1"])

    def script(connection):
        original = connection.read_request

        def read():
            seen = original()
            while seen.method == "GET":
                connection.respond(b"", "405 Method Not Allowed")
                seen = original()
            return seen

        connection.read_request = read
        shaking(connection)

    with Listening(legacy(raw_server(script))) as heard:
        heard.join()

    assert isinstance(heard.error, UnexpectedStatus)


def test_a_command_tells_of_its_change():
    connection = stdio_calling.raw()
    with Listening(connection) as heard:
        stdio_calling.until(lambda: announced_by(connection, heard) == "tools")


def announced_by(connection, heard):
    stdio_calling.value(connection, "announce")
    try:
        return heard._kinds.get(timeout=0.1)
    except queue.Empty:
        return None


def test_a_command_that_ends_is_started_and_listened_to_again():
    connection = stdio_calling.raw()
    with Listening(connection) as heard:
        stdio_calling.until(lambda: announced_by(connection, heard))
        first = stdio_calling.value(connection, "pid")
        stdio_calling.failure(connection, "exit")

        assert heard.next() == "tools"
        assert stdio_calling.value(connection, "pid") != first


def test_a_command_whose_settings_changed_ends_though_somebody_listens(monkeypatch):
    # Who listens has the settings of before, and would start that command again.
    monkeypatch.setattr(listening, "FIRST_PAUSE_SECONDS", 60.0)
    connection = stdio_calling.raw()
    process = stdio_calling.process_of(connection)
    with Listening(connection) as heard:
        stdio_calling.until(lambda: announced_by(connection, heard))
        command = replace(connection.command, env={"CHANGED": "yes"})
        stdio_calling.value(replace(connection, command=command), "pid")

        assert process.wait(5)


def test_the_simple_dialect_is_not_listened_to(rest_server):
    with pytest.raises(MCPClientError, match="says nothing unasked"):
        MCPClient(to(rest_server([]), protocol="rest")).listen(print, Cancellation())


def test_a_server_says_that_it_announces_changes(sdk_server):
    assert MCPClient(to(sdk_server())).discover().list_changed


@pytest.mark.parametrize(
    ("pages", "about", "ttl", "private"),
    [
        ([{"ttlMs": 60_000, "cacheScope": "public"}], {"ttlMs": 5}, 60.0, False),
        ([{"ttlMs": 60_000}, {"ttlMs": 1_000, "cacheScope": "private"}], {}, 1.0, True),
        ([{}], {"ttlMs": 2_000}, 2.0, False),
        ([{}], {}, None, False),
        ([{"ttlMs": -1}], {}, 0.0, False),
        ([{"ttlMs": 10**15}], {}, 604_800.0, False),
        ([{"ttlMs": "soon"}], {}, None, False),
        ([{"ttlMs": True}], {}, None, False),
        ([{"ttlMs": math.nan}], {}, None, False),
        ([{"ttlMs": math.inf}], {}, 604_800.0, False),
        ([{"ttlMs": 10**299}], {}, 604_800.0, False),
    ],
)
def test_for_how_long_and_for_whom_a_list_holds(raw_server, pages, about, ttl, private):
    discovered = {"supportedVersions": ["2026-07-28"], "capabilities": {}, **about}
    ends = [{"nextCursor": str(number)} for number in range(1, len(pages))] + [{}]
    listed = [{"tools": [], **page, **end} for page, end in zip(pages, ends, strict=True)]

    def script(connection):
        for result in [discovered, *listed]:
            seen = connection.read_request()
            connection.respond({"jsonrpc": "2.0", "id": seen.body["id"], "result": result})

    found = MCPClient(to(raw_server(script))).discover()

    assert (found.ttl, found.private) == (ttl, private)


def test_how_long_a_list_holds_does_not_change_its_digest(sdk_server):
    server = sdk_server(Offer("one"), ttl_ms=1_000)
    client = MCPClient(to(server))
    first = client.discover()
    server.ttl_ms = 2_000
    second = client.discover(known_digest=first.digest)

    assert (first.ttl, second.ttl) == (1.0, 2.0)
    assert second.unchanged
