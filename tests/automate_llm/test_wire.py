"""What goes over the wire, held to the models of the protocol's own packages."""

import pytest
from mcp.shared.inbound import decode_header_value, encode_header_value
from mcp_types import (
    CallToolRequest,
    DiscoverRequest,
    InitializedNotification,
    InitializeRequest,
    JSONRPCNotification,
    JSONRPCRequest,
    ListToolsRequest,
)

from automate_llm.mcp_client import MCPClient
from automate_llm.transports.parameter_headers import header_value
from tests.servers.mcp_sdk import Offer, SDKServer

from .calling import MODERN, answering, call, known, settled, to

MODELS = {
    "server/discover": DiscoverRequest,
    "initialize": InitializeRequest,
    "notifications/initialized": InitializedNotification,
    "tools/list": ListToolsRequest,
    "tools/call": CallToolRequest,
}
META = "io.modelcontextprotocol/"
NAMES = [
    "add",
    "add tool",
    "Zählen",
    "名前",
    " edge ",
    "=?base64?YQ==?=",
    "a\tb",
    "x" * 100,
    "~!@#$%",
]


@pytest.fixture(scope="module", params=[False, True], ids=["modern", "handshake"])
def requests_of(request):
    """The requests of a discovery in two pages and of a call with progress."""
    one, two = Offer("one", handler=lambda arguments: "done"), Offer("two")
    with SDKServer(one, two, page_size=1, legacy_only=request.param) as server:
        client = MCPClient(known(to(server)))
        client.call("one", {"a": [1, {"b": None}]}, on_progress=lambda progress: None)
    return server.requests


def test_every_message_is_one_of_the_protocol(requests_of):
    methods = {seen.rpc_method for seen in requests_of}
    for seen in requests_of:
        envelope = JSONRPCRequest if "id" in seen.body else JSONRPCNotification
        envelope.model_validate(seen.body, strict=True)
        message = {key: value for key, value in seen.body.items() if key not in ("jsonrpc", "id")}
        MODELS[seen.rpc_method].model_validate(message)

    assert methods >= {"server/discover", "tools/list", "tools/call"}


def test_no_two_requests_have_the_same_id(requests_of):
    ids = [seen.body["id"] for seen in requests_of if "id" in seen.body]

    assert len(set(ids)) == len(ids)
    assert all(type(each) is int for each in ids)


def test_the_headers_say_what_the_body_says(requests_of):
    for seen in requests_of:
        headers, params = seen.headers, seen.body["params"]
        assert headers["content-type"] == "application/json"
        assert headers["accept"] == "application/json, text/event-stream"
        if headers.get("mcp-protocol-version") == MODERN:
            assert headers["mcp-method"] == seen.body["method"]
            assert decode_header_value(headers.get("mcp-name")) == params.get("name")
            assert params["_meta"][META + "protocolVersion"] == MODERN
            extensions = {META + "tasks": {}}
            assert params["_meta"][META + "clientCapabilities"] == {"extensions": extensions}
            assert params["_meta"][META + "clientInfo"]["name"] == "django-automate"


def test_a_handshake_offers_the_newest_version_and_then_keeps_to_the_agreed_one(requests_of):
    shaken = [seen for seen in requests_of if seen.rpc_method == "initialize"]
    for seen in shaken:
        assert seen.body["params"]["protocolVersion"] == "2025-11-25"
        assert "mcp-session-id" not in seen.headers
    for seen in requests_of[requests_of.index(shaken[0]) + 1 :] if shaken else []:
        assert seen.headers["mcp-protocol-version"] == "2025-11-25"
        assert seen.headers["mcp-session-id"]


def test_nothing_goes_out_but_what_we_mean_to_send(requests_of):
    assert {name for seen in requests_of for name in seen.headers} <= {
        "accept",
        "accept-encoding",
        "content-length",
        "content-type",
        "host",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "mcp-session-id",
        "user-agent",
    }
    assert {seen.headers["user-agent"] for seen in requests_of} == {"django-automate"}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stands_in_its_header_as_the_protocol_encodes_it(name):
    assert header_value(name) == encode_header_value(name)
    assert decode_header_value(header_value(name)) == name


def test_a_tool_of_any_name_is_called_by_it(sdk_server):
    server = sdk_server(*[Offer(name, handler=lambda arguments: "done") for name in NAMES])
    client = MCPClient(settled(server))

    assert [client.execute_tool(name, {}) for name in NAMES] == ["done"] * len(NAMES)
    assert [seen.body["params"]["name"] for seen in server.seen("tools/call")] == NAMES


def test_half_a_surrogate_pair_in_a_name_does_not_break_the_call(raw_server):
    server = raw_server(answering)

    assert MCPClient(settled(server)).call("a\ud800", {}).text == "fine"
    assert server.requests[0].body["params"]["name"] == "a?"
    assert decode_header_value(server.requests[0].headers["mcp-name"]) == "a?"


def test_the_simple_dialect_sends_what_its_servers_read(rest_server):
    tools = [{"name": "tool", "inputSchema": {}}]
    server = rest_server(tools)
    connection = to(server, protocol="rest")
    MCPClient(connection).discover()
    call(connection)

    listed, called = server.requests
    assert (listed.method, listed.path, listed.body) == ("GET", "/api/tools", None)
    assert (called.method, called.path) == ("POST", "/api/execute")
    assert called.body == {"tool": "tool", "arguments": {}}
    assert called.headers["content-type"] == "application/json"
    assert "content-type" not in listed.headers
