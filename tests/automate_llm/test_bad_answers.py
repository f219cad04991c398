"""Answers that no server may give, and what becomes of the call."""

import json
from functools import partial

import pytest

from automate_llm.exceptions import (
    ConnectionFailed,
    DeadlineExceeded,
    ProtocolError,
    RPCError,
    UnexpectedStatus,
)
from automate_llm.mcp_client import MCPClient
from tests.servers.mcp_sdk import Offer

from .calling import MODERN, answer_to, call, failure, known, settled, to
from .test_sessions import handshaking, legacy

LEGACY = "2025-11-25"


def answering_a_call(reply, version=MODERN):
    """The script of a server that answers a call with what `reply` makes of it."""

    def script(connection):
        while True:
            seen = connection.read_request()
            if seen.rpc_method == "initialize":
                result = {"protocolVersion": version, "capabilities": {}}
                answer = {"jsonrpc": "2.0", "id": seen.body["id"], "result": result}
                connection.respond(answer, headers={"Mcp-Session-Id": "s1"})
            elif seen.rpc_method == "tools/call":
                connection.respond(reply(seen))
            else:
                connection.respond(b"", "202 Accepted")

    return script


def calls(server):
    return [seen for seen in server.requests if seen.rpc_method == "tools/call"]


@pytest.fixture(params=[MODERN, LEGACY])
def speaking(request, raw_server):
    """Start a server of each era with this reply, and the connection to it."""

    def start(reply):
        server = raw_server(answering_a_call(reply, request.param))
        return server, settled(server, protocol_version=request.param)

    return start


@pytest.mark.parametrize("wrong", [1, "x", None, True, 1.5, [], {}])
def test_the_wrong_id_is_no_answer(speaking, wrong):
    server, connection = speaking(lambda seen: {**answer_to(seen), "id": wrong})
    error = failure(connection)

    assert isinstance(error, ProtocolError)
    assert error.may_have_run
    assert len(calls(server)) == 1


def test_an_id_as_text_is_not_the_number_that_was_sent(speaking):
    _, connection = speaking(lambda seen: {**answer_to(seen), "id": str(seen.body["id"])})

    assert isinstance(failure(connection), ProtocolError)


def test_of_two_answers_the_first_counts(speaking):
    _, connection = speaking(lambda seen: [answer_to(seen, "first"), answer_to(seen, "second")])

    assert call(connection).text == "first"


def test_a_second_answer_is_never_taken_for_the_next_calls(raw_server):
    def script(connection):
        while True:
            seen = connection.read_request()
            body = json.dumps(answer_to(seen)).encode()
            other = json.dumps(answer_to(seen, "smuggled")).encode()
            connection.respond(body + b"\r\n\r\n" + other, headers={"Content-Length": len(body)})

    connection = settled(raw_server(script))

    assert [call(connection).text for _ in range(3)] == ["fine"] * 3


@pytest.mark.parametrize("kind", ["new", "task ", "", None, 7, ["complete"], {"a": 1}])
def test_an_unknown_type_of_result_is_refused(speaking, kind):
    server, connection = speaking(lambda seen: answer_to(seen, resultType=kind))
    error = failure(connection)

    assert isinstance(error, ProtocolError)
    assert error.may_have_run
    assert len(calls(server)) == 1


@pytest.mark.parametrize("kind", ["input_required", "task"])
def test_an_older_server_cannot_use_types_that_its_version_lacks(raw_server, kind):
    more = {"requestState": "s", "taskId": "t", "status": "working"}
    server = raw_server(
        answering_a_call(lambda seen: answer_to(seen, resultType=kind, **more), LEGACY)
    )
    error = failure(legacy(server))

    assert isinstance(error, ProtocolError)
    assert error.may_have_run


def refusing_modern(seen):
    data = {"supported": [LEGACY], "requested": MODERN}
    error = {"code": -32022, "message": "no", "data": data}
    return {"jsonrpc": "2.0", "id": seen.body["id"], "error": error}


def test_a_server_of_another_version_than_was_settled_ran_nothing(raw_server):
    def script(connection):
        while True:
            connection.respond(refusing_modern(connection.read_request()), "400 Bad Request")

    server = raw_server(script)
    error = failure(settled(server))

    assert isinstance(error, RPCError)
    assert not error.may_have_run
    assert "sync it again" in str(error)
    assert len(calls(server)) == 1


@pytest.mark.parametrize("words", [refusing_modern, lambda seen: b"Bad Request: no session"])
def test_a_server_that_went_back_to_an_older_version_is_called_in_that(raw_server, words):
    shaking, changes = handshaking(["s1"]), []

    def script(connection):
        original = connection.read_request

        def read():
            seen = original()
            while seen.headers.get("mcp-protocol-version") == MODERN:
                connection.respond(words(seen), "400 Bad Request")
                seen = original()
            return seen

        connection.read_request = read
        shaking(connection)

    server = raw_server(script)
    connection = settled(server, on_change=lambda: changes.append("changed"))

    assert call(connection).text == "fine"
    assert changes == ["changed"]
    assert [seen.headers["mcp-protocol-version"] for seen in calls(server)] == [MODERN, LEGACY]
    ids = [seen.body["id"] for seen in server.requests if "id" in seen.body]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("has_session", [True, False])
def test_a_server_that_went_on_to_the_newest_version_is_called_in_that(sdk_server, has_session):
    server, changes = sdk_server(Offer("tool")), []
    connection = legacy(server, on_change=lambda: changes.append("changed"))
    if has_session:
        call(connection)
    server.modern_only = True
    before = len(server.calls())

    assert call(connection)
    assert changes == ["changed"]
    *refused, ran = server.seen("tools/call")[before:]
    assert ran.headers["mcp-protocol-version"] == MODERN
    assert [seen.headers["mcp-protocol-version"] for seen in refused] == [LEGACY] * has_session


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "500 Server Error"])
def test_another_refusal_is_no_word_on_the_version(raw_server, status):
    def script(connection):
        while True:
            connection.read_request()
            connection.respond(b"", status)

    server = raw_server(script)

    assert isinstance(failure(settled(server)), UnexpectedStatus)
    assert len(server.requests) == 1


def test_headers_that_do_not_fit_say_that_the_server_changed(raw_server):
    changes = []

    def script(connection):
        seen = connection.read_request()
        error = {"code": -32020, "message": "header mismatch"}
        body = {"jsonrpc": "2.0", "id": seen.body["id"], "error": error}
        connection.respond(body, "400 Bad Request")

    failure(settled(raw_server(script), on_change=lambda: changes.append("changed")))

    assert changes == ["changed"]


@pytest.mark.parametrize("version", [MODERN, "2027-01-01", "", None, ["2025-11-25"]])
def test_a_handshake_for_another_version_ends_before_the_call(raw_server, version):
    server = raw_server(handshaking(["s1"], version))
    error = failure(legacy(server))

    assert isinstance(error, ProtocolError)
    assert not error.may_have_run
    assert not calls(server)


def test_a_server_that_answers_discover_with_any_result_gets_a_handshake(raw_server):
    server = raw_server(handshaking(["s1"]))
    found = MCPClient(to(server)).discover()

    assert found.protocol_version == LEGACY
    methods = [seen.rpc_method for seen in server.requests]
    assert methods == ["server/discover", "initialize", "notifications/initialized", "tools/list"]


def test_a_session_that_dies_during_a_call_leaves_its_outcome_unknown(raw_server):
    def script(connection):
        while True:
            seen = connection.read_request()
            if seen.rpc_method == "tools/call":
                connection.reset()
                return
            if seen.rpc_method == "initialize":
                result = {"protocolVersion": LEGACY, "capabilities": {}}
                answer = {"jsonrpc": "2.0", "id": seen.body["id"], "result": result}
                connection.respond(answer, headers={"Mcp-Session-Id": "s1"})
            else:
                connection.respond(b"", "202 Accepted")

    server = raw_server(script)
    error = failure(legacy(server))

    assert isinstance(error, ConnectionFailed)
    assert error.may_have_run
    assert len(calls(server)) == 1


def test_a_session_that_was_forgotten_before_the_call_is_renewed_once(sdk_server):
    effects = []
    server = sdk_server(Offer("tool", handler=lambda arguments: effects.append(1) or "done"))
    server.legacy_only = True
    connection = known(to(server))
    server.forget_sessions()

    assert call(connection).text == "done"
    assert len(effects) == 1
    first, second = server.seen("tools/call")
    assert first.body["id"] != second.body["id"]
    assert first.headers["mcp-session-id"] != second.headers["mcp-session-id"]


def test_a_server_that_forgets_every_session_is_asked_twice_and_no_more(raw_server):
    def script(connection):
        while True:
            seen = connection.read_request()
            if seen.rpc_method == "initialize":
                result = {"protocolVersion": LEGACY, "capabilities": {}}
                answer = {"jsonrpc": "2.0", "id": seen.body["id"], "result": result}
                connection.respond(answer, headers={"Mcp-Session-Id": "s1"})
            else:
                status = "404 Not Found" if seen.rpc_method == "tools/call" else "202 Accepted"
                connection.respond(b"", status)

    server = raw_server(script)
    error = failure(legacy(server))

    assert isinstance(error, UnexpectedStatus)
    assert not error.may_have_run
    assert len(calls(server)) == 2


def test_a_call_carries_a_progress_token_though_nobody_listens(speaking):
    server, connection = speaking(answer_to)
    call(connection)

    body = calls(server)[0].body
    assert body["params"]["_meta"]["progressToken"] == body["id"]


@pytest.mark.parametrize(("version", "told"), [(MODERN, False), (LEGACY, True)])
def test_only_an_older_server_is_told_that_nobody_waits_any_more(raw_server, version, told):
    answering = answering_a_call(answer_to, version)

    def script(connection):
        connection.respond = partial(_unless_called, connection, connection.respond)
        answering(connection)

    server = raw_server(script)
    error = failure(settled(server, protocol_version=version, timeout=0.5))

    assert isinstance(error, DeadlineExceeded)
    assert error.may_have_run
    ids = [seen.body["id"] for seen in calls(server)]
    cancelled = [seen for seen in server.requests if "cancelled" in seen.rpc_method]
    assert [seen.body["params"]["requestId"] for seen in cancelled] == (ids if told else [])


def _unless_called(connection, respond, body=b"", *args, **options):
    if isinstance(body, dict) and "content" in body["result"]:
        connection.wait_for_end()
    else:
        respond(body, *args, **options)
