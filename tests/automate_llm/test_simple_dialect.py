from concurrent.futures import ThreadPoolExecutor

import pytest

from automate_llm.exceptions import ProtocolError, ToolFailed
from automate_llm.mcp_client import MCPClient
from tests.servers.rest import Refusal

from .calling import call, failure, to

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
REST_TOOLS = [{"name": "tool", "description": "A tool.", "inputSchema": SCHEMA}]


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


def test_auto_is_settled_without_a_tool_call_in_the_simple_dialect(rest_server):
    server = rest_server(REST_TOOLS)

    assert call(to(server)).value == "done"
    executed = [seen.body for seen in server.requests if seen.path.endswith("/execute")]
    assert executed == [{"tool": "tool", "arguments": {}}]


def test_threads_that_call_at_once_get_their_own_answers(rest_server):
    server = rest_server(REST_TOOLS, lambda tool, arguments: arguments["a"])
    client = MCPClient(to(server, protocol="rest"))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda a: client.execute_tool("tool", {"a": a}), range(24)))

    assert answers == list(range(24))
