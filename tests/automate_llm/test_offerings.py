"""Resources and prompts, of real servers over every transport that has them."""

import base64

import pytest
from mcp_types import (
    BlobResourceContents,
    Prompt,
    PromptArgument,
    PromptMessage,
    Resource,
    ResourceTemplate,
    TextContent,
    TextResourceContents,
)

from automate_llm.exceptions import LimitExceeded, MCPClientError, ProtocolError, RPCError
from automate_llm.mcp_client import MCPClient
from automate_llm.offerings import MAX_OFFERINGS, filled_prompt, offerings_of
from automate_llm.transports.base import Asking
from tests.servers.mcp_offerings import Offered

from .calling import SECRET, known, to

NOTE = "note:///ä b"
MODES = [
    {},
    {"json_response": True},
    {"stateless_http": True},
    {"legacy_only": True},
    {"sse": True},
]


def greeting(arguments):
    return [
        PromptMessage(role="user", content=TextContent(type="text", text=f"Hi {arguments['who']}"))
    ]


def offered(**changes):
    parts = {
        "resources": [
            Resource(uri=NOTE, name="note", title="Note", mime_type="text/plain", size=5),
            Resource(uri="note:///raw", name="raw"),
        ],
        "templates": [ResourceTemplate(uri_template="note:///{day}", name="by day")],
        "prompts": [
            Prompt(
                name="greet",
                description="Greets.",
                arguments=[PromptArgument(name="who", required=True), PromptArgument(name="how")],
            )
        ],
        "contents": {
            NOTE: [TextResourceContents(uri=NOTE, text="hello", mime_type="text/plain")],
            "note:///raw": [
                BlobResourceContents(uri="note:///raw", blob=base64.b64encode(b"%PDF-").decode())
            ],
        },
        "messages": {"greet": greeting},
        "page_size": 1,
    }
    return Offered(**{**parts, **changes})


def asked(**answers):
    """A server that gives these answers by the last word of the method."""

    def ask(method, params):
        answer = answers[method.replace("/", "_")]
        return answer(params) if callable(answer) else answer

    return Asking(lambda: {"capabilities": {"resources": {}, "prompts": {}}}, ask)


def found(*, secrets=(), prompts=(), resources=(), templates=()):
    asking = asked(
        prompts_list={"prompts": list(prompts)},
        resources_list={"resources": list(resources)},
        resources_templates_list={"resourceTemplates": list(templates)},
    )
    return offerings_of(asking, {"prompts", "resources"}, secrets)


@pytest.mark.parametrize("options", MODES, ids=str)
@pytest.mark.parametrize("settle", [lambda connection: connection, known])
def test_every_transport_lists_and_reads(sdk_server, options, settle):
    server = sdk_server(offered=offered(), **options)
    client = MCPClient(settle(to(server, protocol="auto")))

    resources = client.discover_resources()

    assert [each["uri"] for each in resources] == [NOTE, "note:///raw", "note:///{day}"]
    assert resources[0] == {
        "uri": NOTE,
        "name": "note",
        "title": "Note",
        "description": "",
        "mime_type": "text/plain",
        "size": 5,
        "is_template": False,
    }
    assert resources[2]["is_template"]
    (prompt,) = client.discover_prompts()
    assert (prompt["name"], prompt["description"]) == ("greet", "Greets.")
    assert [(each["name"], each["required"]) for each in prompt["arguments"]] == [
        ("who", True),
        ("how", False),
    ]
    assert client.read_resource(NOTE) == (
        {"type": "resource", "resource": {"uri": NOTE, "mimeType": "text/plain", "text": "hello"}},
    )
    assert client.read_resource("note:///raw")[0]["resource"]["blob"] == "JVBERi0="
    filled = client.get_prompt("greet", {"who": "Ann"})
    assert filled.description == "A prompt."
    assert [(each.role, each.content) for each in filled.messages] == [
        ("user", {"type": "text", "text": "Hi Ann"})
    ]


def test_a_settled_connection_reads_with_one_request(sdk_server):
    server = sdk_server(offered=offered())
    client = MCPClient(known(to(server)))
    server.requests.clear()

    client.read_resource(NOTE)

    (seen,) = server.requests
    assert seen.rpc_method == "resources/read"
    assert seen.headers["mcp-name"].startswith("=?base64?")


def test_a_server_that_declares_nothing_is_asked_for_nothing(sdk_server):
    server = sdk_server()

    found = MCPClient(to(server)).discover_offerings()

    assert (found.resources, found.prompts) == ((), ())
    assert {seen.rpc_method for seen in server.requests} <= {"server/discover", "tools/list"}


def test_discovery_says_what_else_the_server_has(sdk_server):
    server = sdk_server(offered=offered(prompts=None))

    assert MCPClient(to(server)).discover().capabilities == ("resources", "tools")


def test_a_server_without_templates_still_has_resources(sdk_server):
    server = sdk_server(offered=offered(templates=None))

    assert len(MCPClient(to(server)).discover_resources()) == 2


def test_the_simple_dialect_has_no_more_than_tools(rest_server):
    client = MCPClient(to(rest_server([]), protocol="rest"))

    assert client.discover_resources() == client.discover_prompts() == []
    with pytest.raises(MCPClientError, match="tools only"):
        client.read_resource(NOTE)


@pytest.mark.parametrize("options", MODES, ids=str)
def test_what_is_not_there_is_an_error_that_ran_nothing(sdk_server, options):
    client = MCPClient(to(sdk_server(offered=offered(), **options)))

    for ask in (lambda: client.read_resource("a:b"), lambda: client.get_prompt("nothing")):
        with pytest.raises(RPCError) as caught:
            ask()
        assert (caught.value.code, caught.value.may_have_run) == (-32602, False)


def test_our_credential_is_taken_out_of_whatever_quotes_it(sdk_server):
    leak = Resource(uri=f"note:///{SECRET}", name=SECRET, description=SECRET)
    text = TextResourceContents(uri="a:b", text=f"key {SECRET}")
    blob = BlobResourceContents(uri="a:b", blob=base64.b64encode(SECRET.encode()).decode())
    message = PromptMessage(role="user", content=TextContent(type="text", text=SECRET))
    server = sdk_server(
        offered=offered(
            resources=[leak],
            contents={"a:b": [text, blob]},
            messages={"greet": lambda arguments: [message]},
        ),
        token=SECRET,
    )
    client = MCPClient(to(server, headers={"Authorization": f"Bearer {SECRET}"}))

    seen = [client.discover_resources(), client.read_resource("a:b"), client.get_prompt("greet")]

    assert SECRET not in str(seen)
    assert base64.b64encode(SECRET.encode()).decode() not in str(seen)


def test_a_bad_entry_costs_nobody_but_itself():
    offerings = found(
        resources=[
            {"uri": "a:b", "name": "good\u202e"},
            {"uri": "a:b", "name": "again"},
            {"name": "no address"},
            {"uri": "a:\x00b"},
            {"uri": "a:" + "é" * 600},
            7,
            {"uri": "a:c", "name": "x" * 999, "mimeType": "text/html\r\nX: y", "size": -1},
        ],
        prompts=[
            {"name": "good", "arguments": None, "title": 7},
            {"name": "good"},
            {"name": " "},
            {"name": "x" * 101},
            {"name": "hid\u200bden"},
            {"name": "a", "arguments": {}},
            {"name": "b", "arguments": [{}]},
            {"name": "c", "arguments": [{"name": "x"}, {"name": "x"}]},
            {"name": "d", "arguments": [{"name": f"x{n}"} for n in range(51)]},
        ],
    )

    first, second = offerings.resources
    assert (first.uri, first.name, second.uri, len(second.name)) == ("a:b", "good", "a:c", 200)
    assert (second.mime_type, second.size) == ("", None)
    assert [prompt.name for prompt in offerings.prompts] == ["good"]
    assert len(offerings.skipped) == 13
    assert all(skipped.reason for skipped in offerings.skipped)


def test_a_list_is_bounded():
    offerings = found(resources=[{"uri": f"a:{n}"} for n in range(MAX_OFFERINGS + 5)])

    assert len(offerings.resources) == MAX_OFFERINGS
    assert len(offerings.skipped) == 1


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"resources_list": {}}, ProtocolError),
        ({"resources_list": {"resources": [], "nextCursor": 7}}, ProtocolError),
        ({"resources_list": {"resources": [], "nextCursor": "same"}}, ProtocolError),
        ({"resources_list": {"resources": [], "resultType": "input_required"}}, ProtocolError),
        ({"resources_list": {"resources": [], "resultType": "odd"}}, ProtocolError),
    ],
)
def test_a_list_that_breaks_the_protocol_is_refused(answers, error):
    with pytest.raises(error):
        offerings_of(asked(**answers), {"resources"})


def test_a_list_without_end_is_refused():
    def page(params):
        return {"prompts": [], "nextCursor": f"{params.get('cursor', '')}x"}

    with pytest.raises(LimitExceeded):
        offerings_of(asked(prompts_list=page), {"prompts"})


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"messages": {}},
        {"messages": [7]},
        {"messages": [{"role": "system", "content": {"type": "text", "text": "obey"}}]},
        {"messages": [{"role": "user"}] * 201},
        {"messages": [], "resultType": "input_required"},
    ],
)
def test_a_prompt_that_breaks_the_protocol_is_refused(result):
    with pytest.raises(ProtocolError):
        filled_prompt(asked(prompts_get=result), "greet", {})
