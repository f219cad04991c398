"""What a server answers, and how the client reads it."""

import itertools
import json
import math

import pytest

from automate_llm.exceptions import LimitExceeded, ProtocolError, RPCError, UnexpectedStatus
from automate_llm.mcp_client import MCPClient

from .calling import answer_to, call, failure, settled, to

IMAGE = {"type": "image", "mimeType": "application/octet-stream", "data": "aGk="}


@pytest.mark.parametrize(
    ("result", "value"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "a\nb"),
        ({"content": []}, ""),
        ({"structuredContent": None}, None),
        ({"content": [{"type": "text", "text": "{}"}], "structuredContent": {"a": 1}}, {"a": 1}),
        (
            {"content": [IMAGE, {"type": "text", "text": "a"}]},
            [IMAGE, {"type": "text", "text": "a"}],
        ),
        ({"content": ["x", {"type": 1}, {"type": "text"}, {"type": "text", "text": "a"}]}, "a"),
        ({"content": [{"type": "text", "text": "a\0\ud800"}]}, "a\ufffd\ufffd"),
        ({"structuredContent": {"n": math.nan, "\0": math.inf}}, {"n": None, "\ufffd": None}),
    ],
)
def test_a_result_is_cleaned_and_read_as_the_protocol_says(raw_server, result, value):
    def script(connection):
        seen = connection.read_request()
        connection.respond({"jsonrpc": "2.0", "id": seen.body["id"], "result": result})

    assert MCPClient(settled(raw_server(script))).execute_tool("tool", {}) == value


@pytest.mark.parametrize(
    ("answer", "may_have_run"),
    [
        ({"result": {"content": "x"}}, True),
        ({"result": {"resultType": "new"}}, True),
        ({"result": {"resultType": "input_required", "content": []}}, False),
        ({"result": []}, True),
        ({}, True),
        ({"error": {"code": -32603}}, True),
        ({"error": {"code": -32000, "message": "secret"}}, True),
        ({"error": {"code": []}}, True),
        ({"error": {}}, True),
        ({"error": {"code": -32602}}, False),
        ({"error": {"code": -32601}}, False),
        ({"error": {"code": -32700}, "id": None}, False),
    ],
)
def test_an_answer_that_is_no_result_says_whether_the_tool_may_have_run(
    raw_server, answer, may_have_run
):
    def script(connection):
        seen = connection.read_request()
        connection.respond({"jsonrpc": "2.0", "id": seen.body["id"], **answer})

    error = failure(settled(raw_server(script)))

    assert isinstance(error, RPCError if "error" in answer else ProtocolError), error
    assert error.may_have_run == may_have_run
    assert "secret" not in str(error)


@pytest.mark.parametrize("code", [[], {}, "x", None, True, -32020, -32601])
def test_a_status_with_a_malformed_error_is_still_that_status(raw_server, code):
    def script(connection):
        connection.read_request()
        connection.respond({"error": {"code": code}}, "400 Bad Request")

    error = failure(settled(raw_server(script)))

    assert isinstance(error, RPCError if code == -32020 else UnexpectedStatus)
    assert not error.may_have_run


@pytest.mark.parametrize(
    "params",
    [
        {"progress": 1, "progressToken": "another"},
        {"progress": "1"},
        {"progress": math.nan},
        {},
        [],
    ],
)
def test_progress_that_is_not_ours_or_not_a_number_is_passed_over(raw_server, params):
    def script(connection):
        seen = connection.read_request()
        token = seen.body["params"]["_meta"]["progressToken"]
        if isinstance(params, dict):
            params.setdefault("progressToken", token)
        messages = [{"method": "notifications/progress", "params": params}, answer_to(seen)]
        body = "".join(f"data: {json.dumps(each)}\n\n" for each in messages)
        connection.respond(body.encode(), headers={"Content-Type": "text/event-stream"})

    heard = []

    assert call(settled(raw_server(script)), on_progress=heard.append).text == "fine"
    assert heard == []


def test_a_request_of_the_server_is_not_answered(raw_server):
    def script(connection):
        seen = connection.read_request()
        asked = {"id": 1, "method": "sampling/createMessage", "params": {}}
        body = "".join(f"data: {json.dumps(each)}\n\n" for each in [asked, answer_to(seen)])
        connection.respond(body.encode(), headers={"Content-Type": "text/event-stream"})

    server = raw_server(script)

    assert call(settled(server)).text == "fine"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "cursors", [itertools.repeat("a"), itertools.cycle("ab"), itertools.count()]
)
def test_a_list_without_end_is_given_up(raw_server, cursors):
    cursors = map(str, cursors)

    def script(connection):
        while True:
            seen = connection.read_request()
            if seen.rpc_method == "tools/list":
                page = {"tools": [], "nextCursor": next(cursors)}
            else:
                page = {"supportedVersions": ["2026-07-28"]}
            connection.respond({"jsonrpc": "2.0", "id": seen.body["id"], "result": page})

    server = raw_server(script)
    with pytest.raises(ProtocolError, match="circle|50 pages"):
        MCPClient(to(server, protocol="mcp")).discover()

    assert len(server.requests) <= 1 + 50


def test_a_list_of_large_pages_is_cut_at_its_limit(raw_server):
    page = {"tools": [{"name": "x" * 3_900_000}], "supportedVersions": ["2026-07-28"]}
    numbers = itertools.count()

    def script(connection):
        while True:
            seen = connection.read_request()
            result = {**page, "nextCursor": str(next(numbers))}
            connection.respond({"jsonrpc": "2.0", "id": seen.body["id"], "result": result})

    server = raw_server(script)
    with pytest.raises(LimitExceeded, match="answers are too large"):
        MCPClient(to(server, protocol="mcp")).discover()

    assert len(server.requests) == 5


@pytest.mark.parametrize(
    "answer",
    [{"result": {}}, {"result": {"tools": {}}}, {"result": {"tools": [], "nextCursor": 5}}],
)
def test_a_malformed_list_is_refused(raw_server, answer):
    def script(connection):
        while True:
            seen = connection.read_request()
            connection.respond({"jsonrpc": "2.0", "id": seen.body["id"], **answer})

    with pytest.raises(ProtocolError):
        MCPClient(settled(raw_server(script))).discover()
