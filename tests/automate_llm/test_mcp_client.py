import math
from contextlib import ExitStack

import pytest

from automate_llm.exceptions import (
    MCPClientError,
    RPCError,
    ToolFailed,
    UnexpectedStatus,
)
from automate_llm.mcp_client import MCPClient
from automate_llm.values import Progress
from tests.servers.mcp_sdk import Offer, SDKServer

from .calling import SECRET, answering, call, failure, known, settled, to

SERVERS = {
    "modern": {},
    "modern in JSON": {"json_response": True},
    "with sessions": {"legacy_only": True},
    "with sessions in JSON": {"legacy_only": True, "json_response": True},
    "without sessions": {"legacy_only": True, "stateless_http": True},
}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
REST_TOOLS = [{"name": "tool", "description": "A tool.", "inputSchema": SCHEMA}]


def offer(name="tool", handler=lambda arguments: {"sum": arguments.get("a", 0) + 1}, **parts):
    return Offer(name, handler=handler, **{"input_schema": SCHEMA, **parts})


@pytest.fixture(scope="module")
def servers():
    about = {"name": "Shop", "version": "3.1", "instructions": "Be kind."}
    with ExitStack() as running:
        yield {
            kind: running.enter_context(SDKServer(**about, **options))
            for kind, options in SERVERS.items()
        }


@pytest.fixture(params=SERVERS)
def server(request, servers):
    """A server of each kind, with one tool, of which nothing was asked yet."""
    server = servers[request.param]
    server.tools, server.page_size = [offer()], 0
    server.requests.clear()
    return server


def test_tools_are_found_and_called_on_every_kind_of_server(server):
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
    assert found.protocol_version == ("2025-11-25" if server.legacy_only else "2026-07-28")
    assert client.execute_tool("tool", {"a": 4}) == {"sum": 5}
    assert server.calls("tool") == [{"a": 4}]


def test_a_call_after_a_sync_is_one_request(server):
    connection = known(to(server))
    call(connection)
    before = len(server.requests)
    call(connection)

    assert [seen.rpc_method for seen in server.requests[before:]] == ["tools/call"]


def test_the_list_is_read_to_its_last_page(server):
    server.tools, server.page_size = [offer(f"tool{n}") for n in range(7)], 3
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
def test_a_server_that_wants_a_credential_is_asked_once(rest_server, protocol, status):
    server = rest_server()
    server.refuse_with = status
    with pytest.raises(UnexpectedStatus, match=f"HTTP {status}") as caught:
        MCPClient(to(server, protocol=protocol)).discover()

    assert not caught.value.may_have_run
    assert len(server.requests) == 1


def test_a_failure_of_the_tool_is_a_result_and_an_error(server):
    def fail(arguments):
        raise ValueError("out of\x1b[31m paint")

    server.tools = [offer(handler=fail)]
    connection = known(to(server))

    assert call(connection).is_error
    with pytest.raises(ToolFailed, match=r"The tool 'tool' failed: out of \[31m paint"):
        MCPClient(connection).execute_tool("tool", {})


def test_an_unknown_tool_is_an_error_that_says_that_nothing_ran(server):
    server.tools = []
    error = failure(known(to(server)))

    assert isinstance(error, RPCError)
    assert (error.code, error.may_have_run) == (-32602, False)


def test_a_result_is_a_plain_value(sdk_server, rest_server):
    values = ["text", {"a": [1, None]}, 7, None, []]
    rest = rest_server((), lambda tool, arguments: values[arguments["a"]])
    sdk = sdk_server(offer(handler=lambda arguments: values[arguments["a"]]))

    for number, value in enumerate(values):
        assert MCPClient(to(rest, protocol="rest")).execute_tool("tool", {"a": number}) == value
    for number, value in enumerate(values[:2]):
        assert MCPClient(settled(sdk)).execute_tool("tool", {"a": number}) == value


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


def test_auto_is_settled_without_a_tool_call(server):

    assert call(to(server)).value == {"sum": 1}
    *before, last = [seen.rpc_method for seen in server.requests]
    assert "tools/call" not in before
    assert last == "tools/call"


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
