"""Arguments mirrored in headers, held to the SDK's own reading of the specification."""

import pytest
from mcp.shared.inbound import find_invalid_x_mcp_header, mcp_param_headers, x_mcp_header_map

from automate_llm.exceptions import RPCError
from automate_llm.mcp_client import MCPClient
from automate_llm.transports.parameter_headers import misuse, parameter_headers
from tests.servers.mcp_sdk import Offer

from .calling import known, settled, to


def schema(**properties):
    return {"type": "object", "properties": properties}


def marked(name="Region", kind="string"):
    return {"type": kind, "x-mcp-header": name}


FINE = schema(
    region=marked(),
    count=marked("Count", "integer"),
    dry=marked("Dry-Run", "boolean"),
    where=schema(city=marked("City")),
    plain={"type": "string", "default": {"x-mcp-header": "no schema"}},
)

MISUSED = [
    marked(),
    schema(a=marked("")),
    schema(a=marked(7)),
    schema(a=marked("a b")),
    schema(a=marked("a:b")),
    schema(a=marked("a\r\nb")),
    schema(a=marked("Zähler")),
    schema(a=marked("A", "number")),
    schema(a=marked("A", "object")),
    schema(a=marked("A", ["string", "null"])),
    schema(a={"x-mcp-header": "A"}),
    schema(a=marked("Same"), b=marked("sAME")),
    schema(a={"type": "array", "items": marked()}),
    schema(a={"anyOf": [marked()]}),
    schema(a={"not": marked()}),
    {"$defs": {"a": marked()}},
    {"if": schema(a=marked())},
    {"patternProperties": {"a": marked()}},
]


@pytest.mark.parametrize("wrong", MISUSED)
def test_a_schema_that_misuses_the_mark_says_why(wrong):
    assert misuse(wrong)
    assert find_invalid_x_mcp_header(wrong)


@pytest.mark.parametrize(
    "right", [FINE, {}, schema(a={"type": "string", "enum": ["x-mcp-header"]})]
)
def test_a_schema_that_uses_it_well_does_not(right):
    assert misuse(right) == ""
    assert find_invalid_x_mcp_header(right) is None


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"region": "us-west1", "count": -7, "dry": True, "where": {"city": "Bern"}},
        {"region": "", "dry": False},
        {"region": None, "where": None, "count": 0},
        {"where": "no object"},
        {"region": "Hello, 世界"},
        {"region": " padded "},
        {"region": "line1\nline2\r\n"},
        {"region": "=?base64?literal?="},
        {"region": "a\tb"},
        {"plain": "not marked"},
    ],
)
def test_the_headers_are_those_that_the_sdk_would_send(arguments):
    expected = mcp_param_headers(x_mcp_header_map(FINE), arguments)

    assert dict(parameter_headers(FINE, arguments)) == expected


@pytest.mark.parametrize("value", [2**53, -(2**53), 1.5, [1], {"a": 1}, float("inf")])
def test_what_no_header_can_say_has_none(value):
    assert dict(parameter_headers(FINE, {"count": value})) == {}


def test_a_tool_that_misuses_the_mark_is_left_out_and_its_neighbours_stay(sdk_server):
    server = sdk_server(Offer("good", input_schema=FINE), Offer("bad", input_schema=MISUSED[3]))
    found = MCPClient(to(server)).discover()

    assert [tool.name for tool in found.tools] == ["good"]
    assert [(tool.name, "x-mcp-header" in tool.reason) for tool in found.skipped] == [("bad", True)]


def test_with_an_older_protocol_the_mark_means_nothing(sdk_server):
    server = sdk_server(Offer("odd", input_schema=MISUSED[3]), legacy_only=True)

    assert [tool.name for tool in MCPClient(to(server)).discover().tools] == ["odd"]


def test_a_real_server_takes_a_call_with_its_headers(sdk_server):
    server = sdk_server(Offer("query", input_schema=FINE, handler=lambda arguments: "rows"))
    client = MCPClient(known(to(server)))
    arguments = {"region": "Zürich\n", "count": 3, "where": {"city": "Bern"}}

    assert client.execute_tool("query", arguments, input_schema=FINE) == "rows"
    assert server.seen("tools/call")[0].headers["mcp-param-count"] == "3"


def test_headers_that_a_server_misses_say_that_the_tool_has_changed(sdk_server):
    server = sdk_server(Offer("query", input_schema=FINE))
    with pytest.raises(RPCError, match="changed, so sync") as caught:
        MCPClient(settled(server)).execute_tool("query", {"region": "x"})

    assert caught.value.code == -32020
    assert not caught.value.may_have_run
    assert len(server.seen("tools/call")) == 1
