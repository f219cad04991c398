import itertools
import json
import math

import pytest

from automate_llm.exceptions import (
    LimitExceeded,
    MCPClientError,
    ProtocolError,
    RPCError,
    ToolFailed,
    UnexpectedStatus,
)
from automate_llm.mcp_client import MCPClient
from automate_llm.values import Progress
from tests.servers.mcp_sdk import Offer
from tests.servers.rest import Refusal

from .calling import SECRET, answer_to, answering, call, failure, known, settled, to

SERVERS = {
    "modern": {},
    "modern in JSON": {"json_response": True},
    "with sessions": {"legacy_only": True},
    "with sessions in JSON": {"legacy_only": True, "json_response": True},
    "without sessions": {"legacy_only": True, "stateless_http": True},
}
every_server = pytest.mark.parametrize("options", SERVERS.values(), ids=SERVERS)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
REST_TOOLS = [{"name": "tool", "description": "A tool.", "inputSchema": SCHEMA}]


def offer(name="tool", handler=lambda arguments: {"sum": arguments.get("a", 0) + 1}, **parts):
    return Offer(name, handler=handler, **{"input_schema": SCHEMA, **parts})


@every_server
def test_tools_are_found_and_called_on_every_kind_of_server(sdk_server, options):
    server = sdk_server(offer(), name="Shop", version="3.1", instructions="Be kind.", **options)
    client = MCPClient(to(server))
    found = client.discover()

    assert client.discover_tools() == [
        {"name": "tool", "description": "A tool.", "input_schema": SCHEMA}
    ]
    assert (found.protocol, found.server_name, found.server_version, found.instructions) == (
        "mcp",
        "Shop",
        "3.1",
        "Be kind.",
    )
    assert found.protocol_version == ("2025-11-25" if "legacy_only" in options else "2026-07-28")
    assert client.execute_tool("tool", {"a": 4}) == {"sum": 5}
    assert server.calls("tool") == [{"a": 4}]


@every_server
def test_a_call_after_a_sync_is_one_request(sdk_server, options):
    server = sdk_server(offer(), **options)
    connection = known(to(server))
    call(connection)
    before = len(server.requests)
    call(connection)

    assert [seen.rpc_method for seen in server.requests[before:]] == ["tools/call"]


@every_server
def test_the_list_is_read_to_its_last_page(sdk_server, options):
    server = sdk_server(*[offer(f"tool{n}") for n in range(7)], page_size=3, **options)
    found = MCPClient(to(server)).discover()

    assert [tool.name for tool in found.tools] == [f"tool{n}" for n in range(7)]
    assert len(server.seen("tools/list")) == 3


@pytest.mark.parametrize(
    "options", [{"legacy_only": True}, {"legacy_only": True, "json_response": True}]
)
def test_a_forgotten_session_is_renewed_and_the_call_runs_once(sdk_server, options):
    ran = []
    server = sdk_server(offer(handler=lambda arguments: ran.append(1) or "done"), **options)
    connection = known(to(server))
    call(connection)
    server.forget_sessions()

    assert call(connection).text == "done"
    assert len(ran) == 2
    assert len(server.seen("initialize")) == 2


def test_a_sync_uses_the_session_that_is_open(sdk_server):
    server = sdk_server(offer(), name="Shop", legacy_only=True)
    connection = to(server)
    names = [MCPClient(connection).discover().server_name for _ in range(3)]
    call(known(connection))

    assert names == ["Shop"] * 3
    assert len(server.seen("initialize")) == 1


def test_a_session_that_is_forgotten_again_at_once_is_given_up(sdk_server):
    server = sdk_server(offer(), legacy_only=True)
    connection = known(to(server))
    server.refuse_with = 404
    error = failure(connection)

    assert isinstance(error, UnexpectedStatus)
    assert not error.may_have_run
    assert len(server.seen("tools/call")) == 1


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ({"token": SECRET}, {"Authorization": f"Bearer {SECRET}"}),
        ({"api_key": SECRET}, {"X-API-Key": SECRET}),
        ({"api_key": SECRET, "api_key_header": "Shop-Key"}, {"Shop-Key": SECRET}),
    ],
)
@pytest.mark.parametrize("legacy_only", [True, False])
def test_every_request_carries_the_credential(sdk_server, options, headers, legacy_only):
    server = sdk_server(offer(), legacy_only=legacy_only, **options)
    connection = known(to(server, headers=headers))
    call(connection)
    name, value = next(iter(headers.items()))

    assert {seen.headers[name.lower()] for seen in server.requests} == {value}


@pytest.mark.parametrize("protocol", ["auto", "mcp"])
@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_server_that_wants_a_credential_is_asked_once(sdk_server, protocol, status):
    server = sdk_server(offer())
    server.refuse_with = status
    with pytest.raises(UnexpectedStatus, match=f"HTTP {status}") as caught:
        MCPClient(to(server, protocol=protocol)).discover()

    assert not caught.value.may_have_run
    assert len(server.requests) == 1


@every_server
def test_a_failure_of_the_tool_is_a_result_and_an_error(sdk_server, options):
    def fail(arguments):
        raise ValueError("out of\x1b[31m paint")

    connection = known(to(sdk_server(offer(handler=fail), **options)))

    assert call(connection).is_error
    with pytest.raises(ToolFailed, match=r"The tool 'tool' failed: out of \[31m paint"):
        MCPClient(connection).execute_tool("tool", {})


@every_server
def test_an_unknown_tool_is_an_error_that_says_that_nothing_ran(sdk_server, options):
    error = failure(known(to(sdk_server(**options))))

    assert isinstance(error, RPCError)
    assert (error.code, error.may_have_run) == (-32602, False)


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("text", "text"),
        ({"a": [1, None]}, {"a": [1, None]}),
        (7, 7),
        (None, None),
        ([], []),
    ],
)
def test_a_result_is_a_plain_value(sdk_server, rest_server, answer, value):
    rest = rest_server(REST_TOOLS, lambda tool, arguments: answer)

    assert MCPClient(to(rest, protocol="rest")).execute_tool("tool", {}) == value
    if isinstance(answer, str | dict):
        sdk = sdk_server(offer(handler=lambda arguments: answer))
        assert MCPClient(settled(sdk)).execute_tool("tool", {}) == value


@pytest.mark.parametrize(
    ("result", "value"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "a\nb"),
        ({"content": []}, ""),
        ({"structuredContent": None}, None),
        ({"content": [{"type": "text", "text": "{}"}], "structuredContent": {"a": 1}}, {"a": 1}),
        (
            {"content": [{"type": "text", "text": "a"}, {"type": "image", "data": "aGk="}]},
            [{"type": "text", "text": "a"}, {"type": "image", "data": "aGk="}],
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


@pytest.mark.parametrize("options", [{}, {"legacy_only": True}])
def test_progress_is_heard_in_order(sdk_server, options):
    async def work(arguments, session):
        await session.report_progress(1, 2, "ha\x1blf")
        await session.report_progress(2)
        return "done"

    heard = []
    connection = known(to(sdk_server(offer(handler=work), **options)))

    assert call(connection, on_progress=heard.append).text == "done"
    assert heard == [Progress(1, 2, "half"), Progress(2)]


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

    with pytest.raises(LimitExceeded):
        MCPClient(to(raw_server(script), protocol="mcp")).discover()


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


def test_the_simple_dialect_is_found_and_called(rest_server):
    server = rest_server(REST_TOOLS, lambda tool, arguments: {tool: arguments["a"]})
    client = MCPClient(to(server))

    assert client.discover().protocol == "rest"
    assert client.discover_tools() == [
        {"name": "tool", "description": "A tool.", "input_schema": SCHEMA}
    ]
    assert client.execute_tool("tool", {"a": 1}) == {"tool": 1}


@pytest.mark.parametrize("slashes", ["", "/", "//"])
def test_a_slash_at_the_end_of_the_address_changes_nothing(rest_server, slashes):
    server = rest_server(REST_TOOLS)
    found = MCPClient(to(server, url=server.url + slashes, protocol="rest")).discover()

    assert len(found.tools) == 1


def test_an_error_of_the_simple_dialect_is_a_failure_of_the_tool(raw_server):
    def script(connection):
        while True:
            connection.read_request()
            connection.respond({"error": "out of paint"})

    connection = to(raw_server(script), protocol="rest")

    assert call(connection).is_error
    with pytest.raises(ToolFailed, match="out of paint"):
        MCPClient(connection).execute_tool("tool", {})


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'"x"', b"", b"null"])
def test_a_call_in_the_simple_dialect_that_ends_in_garbage_may_have_run(raw_server, body):
    def script(connection):
        connection.read_request()
        connection.respond(body)

    error = failure(to(raw_server(script), protocol="rest"))

    assert isinstance(error, ProtocolError)
    assert error.may_have_run


@pytest.mark.parametrize(("status", "may_have_run"), [(422, False), (500, True)])
def test_a_status_of_the_simple_dialect_says_whether_the_tool_may_have_run(
    rest_server, status, may_have_run
):
    def refuse(tool, arguments):
        raise Refusal(status)

    error = failure(to(rest_server(REST_TOOLS, refuse), protocol="rest"))

    assert str(error).startswith(f"HTTP {status}")
    assert error.may_have_run == may_have_run


@every_server
def test_auto_is_settled_without_a_tool_call(sdk_server, options):
    server = sdk_server(offer(), **options)

    assert call(to(server)).value == {"sum": 1}
    *before, last = [seen.rpc_method for seen in server.requests]
    assert "tools/call" not in before
    assert last == "tools/call"


def test_auto_is_settled_without_a_tool_call_in_the_simple_dialect(rest_server):
    server = rest_server(REST_TOOLS)

    assert call(to(server)).value == "done"
    executed = [seen.body for seen in server.requests if seen.path.endswith("/execute")]
    assert executed == [{"tool": "tool", "arguments": {}}]


@pytest.mark.parametrize("protocol", ["auto", "mcp"])
def test_a_call_whose_protocol_cannot_be_settled_did_not_run(raw_server, protocol):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    server = raw_server(script)
    error = failure(to(server, protocol=protocol))

    assert isinstance(error, MCPClientError)
    assert not error.may_have_run
    assert [seen for seen in server.requests if seen.rpc_method == "tools/call"] == []


def test_a_session_that_cannot_be_renewed_leaves_no_doubt_that_nothing_ran(raw_server):
    requests = []

    def script(connection):
        while True:
            seen = connection.read_request()
            requests.append(seen.rpc_method)
            if seen.rpc_method == "initialize" and requests.count("initialize") == 1:
                result = {"protocolVersion": "2025-11-25", "capabilities": {}}
                connection.respond(
                    {"jsonrpc": "2.0", "id": seen.body["id"], "result": result},
                    headers={"Mcp-Session-Id": "one"},
                )
            elif seen.rpc_method == "notifications/initialized":
                connection.respond(b"", "202 Accepted")
            elif seen.rpc_method == "tools/call":
                connection.respond(b"", "404 Not Found")
            else:
                connection.close()

    error = failure(settled(raw_server(script), protocol_version="2025-11-25"))

    assert requests == ["initialize", "notifications/initialized", "tools/call", "initialize"]
    assert not error.may_have_run


@pytest.mark.parametrize(
    "arguments",
    [{"a": math.nan}, {"a": {1, 2}}, {"a": object()}, {"a": "x" * 1_100_000}, {(1, 2): 3}],
)
def test_arguments_that_cannot_be_sent_are_an_error_and_nothing_is_sent(raw_server, arguments):
    server = raw_server(answering)
    with pytest.raises(MCPClientError, match="nothing was sent") as caught:
        MCPClient(settled(server)).call("tool", arguments)

    assert not caught.value.may_have_run
    assert server.connections == []


def test_a_row_is_asked_for_its_connection_at_each_call(rest_server):
    server = rest_server(REST_TOOLS, api_key=SECRET)
    keys = iter(["wrong key", SECRET])

    class Row:
        def connection(self):
            return to(server, protocol="rest", headers={"X-API-Key": next(keys)})

    client = MCPClient(Row())

    with pytest.raises(UnexpectedStatus, match="HTTP 401"):
        client.execute_tool("tool", {})
    assert client.execute_tool("tool", {}) == "done"
