"""What servers ask while a tool is called, in results (2026-07-28) and in requests (before)."""

import json

import pytest
from mcp_types import CallToolResult, ElicitRequest, ElicitRequestFormParams, InputRequiredResult

from automate_llm.exceptions import (
    InputRequired,
    LimitExceeded,
    MCPClientError,
    ProtocolError,
)
from automate_llm.mcp_client import MCPClient
from automate_llm.transports.replying import MAX_REPLIES
from automate_llm.values import InputAnswer, InputRequest
from tests.servers.mcp_sdk import Offer

from .calling import SECRET, answer_to, call, failure, known, settled, to
from .test_sessions import handshaking, legacy

FORM = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "Ada"},
        "age": {"type": "integer", "default": 30},
        "note": {"type": "string"},
    },
}
STATE = "opaque \u00e9 = not ours to read"
ELICITATION = {"method": "elicitation/create", "params": {"message": "Who?"}}


async def ask_once(context, params):
    """A tool that asks for a name and greets it, as the official SDK has it."""
    answers = params.input_responses or {}
    if "name" not in answers:
        form = ElicitRequestFormParams(message="Who?", requested_schema=FORM)
        return InputRequiredResult(
            input_requests={"name": ElicitRequest(params=form)}, request_state=STATE
        )
    answer = answers["name"]
    return {"action": answer.action, "content": answer.content, "state": params.request_state}


@pytest.fixture
def asking(sdk_server):
    """A modern server whose tool asks, and the way to it."""
    server = sdk_server(Offer("greet", conversation=ask_once))
    return server, MCPClient(settled(server))


def asked_by(client, **options):
    with pytest.raises(InputRequired) as caught:
        client.call("greet", {"a": 1}, asks=True, **options)
    return caught.value


def test_a_question_comes_as_values(asking):
    _, client = asking
    asked = asked_by(client)

    assert asked.requests == {"name": InputRequest("form", "Who?", FORM)}
    assert asked.requests["name"].defaults == {"name": "Ada", "age": 30}
    assert asked.request_state == STATE
    assert not asked.may_have_run
    with pytest.raises(TypeError):
        asked.requests["other"] = asked.requests["name"]


def test_the_answer_goes_back_with_the_servers_state_under_a_new_id(asking):
    server, client = asking
    asked = asked_by(client)
    answers = {"name": InputAnswer("accept", {"name": "Grace"})}
    result = client.call(
        "greet", {"a": 1}, input_responses=answers, request_state=asked.request_state
    )

    assert result.structured == {"action": "accept", "content": {"name": "Grace"}, "state": STATE}
    first, second = server.seen("tools/call")
    assert first.body["id"] != second.body["id"]
    assert second.body["params"]["arguments"] == {"a": 1}


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_what_a_person_declines_is_said(asking, action):
    _, client = asking
    state = asked_by(client).request_state
    answers = {"name": InputAnswer(action, {"name": "not sent"})}
    result = client.call("greet", {"a": 1}, input_responses=answers, request_state=state)

    assert result.structured == {"action": action, "content": None, "state": STATE}


def test_only_who_takes_questions_says_so(asking):
    server, client = asking
    asked_by(client)
    with pytest.raises(MCPClientError):
        client.call("greet", {})

    capabilities = [
        seen.body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"]
        for seen in server.seen("tools/call")
    ]
    assert [each.get("elicitation") for each in capabilities] == [{"form": {}, "url": {}}, None]


def test_an_answer_without_a_state_sends_none(raw_server):
    def script(connection):
        seen = connection.read_request()
        asking = {"resultType": "input_required", "inputRequests": {"name": ELICITATION}}
        connection.respond({"jsonrpc": "2.0", "id": seen.body["id"], "result": asking})
        connection.respond(answer_to(connection.read_request()))

    server = raw_server(script)
    client = MCPClient(settled(server))
    asked = asked_by(client)
    client.call("greet", {}, input_responses={}, request_state=asked.request_state)

    assert "requestState" not in server.requests[1].body["params"]
    assert server.requests[1].body["params"]["inputResponses"] == {}


def result_of(raw_server, result, **changes):
    def script(connection):
        seen = connection.read_request()
        connection.respond({"jsonrpc": "2.0", "id": seen.body["id"], "result": result})

    return failure(settled(raw_server(script), **changes), asks=True)


def requiring(request, **more):
    return {"resultType": "input_required", "inputRequests": {"q": request}, **more}


def elicitation(**params):
    return {"method": "elicitation/create", "params": {"message": "Who?", **params}}


def test_a_state_alone_may_be_sent_back_at_once(raw_server):
    asked = result_of(raw_server, {"resultType": "input_required", "requestState": "s"})

    assert isinstance(asked, InputRequired)
    assert (dict(asked.requests), asked.request_state) == ({}, "s")


def test_a_question_may_name_an_address_that_the_person_opens(raw_server):
    address = "https://shop.example/connect?x=1"
    asked = result_of(raw_server, requiring(elicitation(mode="url", url=address)))

    assert asked.requests["q"] == InputRequest("url", "Who?", url=address)


@pytest.mark.parametrize(
    "result",
    [
        {"resultType": "input_required"},
        {"resultType": "input_required", "inputRequests": []},
        {"resultType": "input_required", "inputRequests": {"q": 7}},
        {"resultType": "input_required", "inputRequests": {}, "requestState": 7},
        {"resultType": "input_required", "requestState": "a\0b"},
        {"resultType": "input_required", "inputRequests": {"k" * 201: ELICITATION}},
        requiring({"method": "sampling/createMessage", "params": {}}),
        requiring({"method": "roots/list", "params": {}}),
        requiring({"method": "elicitation/create"}),
        requiring({"method": "elicitation/create", "params": {}}),
        requiring(elicitation(mode="telepathy")),
        requiring(elicitation(mode=["form"])),
        requiring(elicitation(requestedSchema=[])),
        requiring(elicitation(requestedSchema={"title": "x" * 110_000})),
        requiring(elicitation(mode="url")),
        requiring(elicitation(mode="url", url="javascript:alert(1)")),
        requiring(elicitation(mode="url", url="https://good.example@bad.example/")),
        requiring(elicitation(mode="url", url="https://good.example\\@bad.example/")),
        requiring(elicitation(mode="url", url="https://exa\u043cple.org/")),
    ],
)
def test_a_question_that_nobody_can_answer_is_refused(raw_server, result):
    error = result_of(raw_server, result)

    assert isinstance(error, ProtocolError)
    assert not error.may_have_run


@pytest.mark.parametrize(
    "more",
    [
        {"inputRequests": {str(number): ELICITATION for number in range(21)}},
        {"requestState": "x" * 300_000},
    ],
)
def test_questions_are_bounded(raw_server, more):
    assert isinstance(result_of(raw_server, requiring(ELICITATION) | more), LimitExceeded)


def test_a_question_never_quotes_our_own_credential(raw_server):
    quoting = requiring(elicitation(message=f"Is it {SECRET}?", requestedSchema={"x": SECRET}))
    headers = {"Authorization": f"Bearer {SECRET}"}
    asked = result_of(raw_server, quoting, headers=headers)

    assert SECRET not in str(asked.requests)


def test_an_older_server_cannot_take_answers(raw_server):
    server = raw_server(handshaking(["s1"]))
    error = failure(legacy(server), input_responses={})

    assert "nothing was sent" in str(error)
    assert not error.may_have_run
    assert "tools/call" not in [seen.rpc_method for seen in server.requests]


async def elicit(context, params):
    """A tool of the versions with a handshake, on the SDK."""
    answer = await context.session.elicit_form("Who?", FORM, related_request_id=context.request_id)
    return {"action": answer.action, "content": answer.content}


async def elicit_on_the_sessions_stream(context, params):
    answer = await context.session.elicit_form("Who?", FORM)
    return {"action": answer.action, "content": answer.content}


@pytest.mark.parametrize("tool", [elicit, elicit_on_the_sessions_stream])
def test_an_older_servers_question_is_answered_at_once(sdk_server, tool):
    server = sdk_server(Offer("greet", conversation=tool), legacy_only=True)
    asked = []

    def answer(request):
        asked.append(request)
        return InputAnswer("accept", {"age": 7})

    result = MCPClient(known(to(server))).call("greet", {}, on_question=answer)

    assert asked == [InputRequest("form", "Who?", FORM)]
    assert result.structured == {"action": "accept", "content": {"name": "Ada", "age": 7}}


def test_where_nobody_is_there_an_older_server_is_told_no(sdk_server):
    server = sdk_server(Offer("greet", conversation=elicit), legacy_only=True)
    client = MCPClient(known(to(server)))
    declined = client.call("greet", {}).structured
    accepted = client.call("greet", {}, on_question=lambda request: InputAnswer("accept"))

    assert declined == {"action": "decline", "content": None}
    assert accepted.structured["content"] == {"name": "Ada", "age": 30}
    offered = [seen.body["params"]["capabilities"] for seen in server.seen("initialize")]
    assert offered == [{}, {"elicitation": {"form": {}, "url": {}}}]


def test_a_question_over_the_old_event_stream_is_answered_too(sdk_server):
    server = sdk_server(Offer("greet", conversation=elicit), sse=True)
    client = MCPClient(to(server, protocol="sse"))
    result = client.call("greet", {}, on_question=lambda request: InputAnswer("accept"))

    assert result.structured["content"] == {"name": "Ada", "age": 30}
    assert client.call("greet", {}).structured["action"] == "decline"


def events(*messages):
    return b"".join(b"data: " + json.dumps(message).encode() + b"\n\n" for message in messages)


def asking_on_the_way(*requests):
    """The script of a server of 2025 that asks all this before it answers a call."""

    def script(connection):
        while True:
            seen = connection.read_request()
            if seen.rpc_method == "initialize":
                result = {"protocolVersion": "2025-11-25", "capabilities": {}}
                answer = {"jsonrpc": "2.0", "id": seen.body["id"], "result": result}
                connection.respond(answer, headers={"Mcp-Session-Id": "s1"})
            elif seen.rpc_method == "tools/call":
                body = events(*requests, answer_to(seen))
                connection.respond(body, headers={"Content-Type": "text/event-stream"})
            else:
                connection.respond(b"", "202 Accepted")

    return script


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        ({"id": 1, "method": "ping"}, {"result": {}}),
        (
            {"id": "q", "method": "elicitation/create", "params": {"message": "Who?"}},
            {"result": {"action": "decline"}},
        ),
        ({"id": 3, "method": "elicitation/create"}, {"result": {"action": "decline"}}),
    ],
)
def test_an_older_servers_request_is_answered_in_its_session(raw_server, request_, reply):
    server = raw_server(asking_on_the_way({"jsonrpc": "2.0", **request_}))
    call(legacy(server))

    [sent] = [seen for seen in server.requests if not seen.rpc_method]
    assert sent.body == {"jsonrpc": "2.0", "id": request_["id"], **reply}
    assert sent.headers["mcp-session-id"] == "s1"


@pytest.mark.parametrize("method", ["sampling/createMessage", "roots/list", "tools/call"])
def test_deprecated_requests_are_declined_as_unknown(raw_server, method):
    server = raw_server(asking_on_the_way({"jsonrpc": "2.0", "id": 1, "method": method}))
    call(legacy(server))

    [sent] = [seen for seen in server.requests if not seen.rpc_method]
    assert sent.body["error"]["code"] == -32601


def test_a_server_that_asks_without_end_is_answered_only_so_often(raw_server):
    pings = [{"jsonrpc": "2.0", "id": number, "method": "ping"} for number in range(400)]
    server = raw_server(asking_on_the_way(*pings))

    assert call(legacy(server)).text == "fine"
    assert len([seen for seen in server.requests if not seen.rpc_method]) == MAX_REPLIES


def test_a_modern_servers_requests_are_not_answered(raw_server):
    def script(connection):
        seen = connection.read_request()
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        body = events(ping, answer_to(seen))
        connection.respond(body, headers={"Content-Type": "text/event-stream"})

    server = raw_server(script)

    assert call(settled(server)).text == "fine"
    assert len(server.requests) == 1


def test_a_result_of_the_sdk_without_questions_is_just_a_result(sdk_server):
    async def answer(context, params):
        return CallToolResult(content=[])

    server = sdk_server(Offer("greet", conversation=answer))

    assert MCPClient(settled(server)).call("greet", {}, asks=True).content == ()
