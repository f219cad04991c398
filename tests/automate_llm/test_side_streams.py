"""The stream of a session, shared by its calls, on which an older server may ask."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from automate_llm.exceptions import ProtocolError
from automate_llm.mcp_client import MCPClient
from automate_llm.values import InputAnswer
from tests.servers.mcp_sdk import Offer

from .calling import answer_to, known, to
from .test_questions import events
from .test_sessions import legacy

PARAMS = {"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}}
FORM = {"type": "object", "properties": {"name": {"type": "string"}}}


async def asks(context, params):
    answer = await context.session.elicit_form("Who?", FORM)
    return {"action": answer.action, "content": answer.content}


def test_calls_at_once_are_asked_each_for_itself(sdk_server):
    server = sdk_server(Offer("greet", conversation=asks), legacy_only=True)
    client = MCPClient(known(to(server)))
    together = threading.Barrier(3)

    def greeted(number):
        def answer(request):
            together.wait(10)
            return InputAnswer("accept", {"name": str(number)})

        return client.call("greet", {"number": number}, on_question=answer).structured["content"]

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(greeted, range(3))) == [{"name": str(each)} for each in range(3)]
    assert len({seen.headers["mcp-session-id"] for seen in server.seen("tools/call")}) == 3


def test_calls_one_after_the_other_have_one_session(sdk_server):
    server = sdk_server(Offer("greet", conversation=asks), legacy_only=True)
    client = MCPClient(known(to(server)))
    for _ in range(3):
        client.call("greet", {}, on_question=dismiss)

    [session] = {seen.headers["mcp-session-id"] for seen in server.seen("tools/call")}
    client.close()
    ended = [seen for seen in server.requests if seen.method == "DELETE"]
    assert session in {seen.headers["mcp-session-id"] for seen in ended}


EVENTS = {"Content-Type": "text/event-stream"}
QUESTION = {"jsonrpc": "2.0", "id": 7, "method": "elicitation/create", "params": PARAMS}


def no_stream(connection):
    connection.respond(b"", "405 Method Not Allowed")


def fine(connection, seen):
    connection.respond(answer_to(seen))


def in_one_session(on_call=fine, on_stream=no_stream, on_reply=lambda request_id: None):
    """The script of a server of 2025: what it does at a call, at its stream, and at a reply."""

    def script(connection):
        while True:
            seen = connection.read_request()
            if seen.method == "GET":
                on_stream(connection)
            elif seen.rpc_method == "initialize":
                result = {"protocolVersion": "2025-11-25", "capabilities": {}}
                answer = {"jsonrpc": "2.0", "id": seen.body["id"], "result": result}
                connection.respond(answer, headers={"Mcp-Session-Id": "s1"})
            elif seen.rpc_method == "tools/call":
                on_call(connection, seen)
            else:
                on_reply(seen.body.get("id"))
                connection.respond(b"", "202 Accepted")

    return script


def dismiss(request):
    return InputAnswer("cancel")


def test_a_stream_that_ends_is_opened_again(raw_server):
    """The server ends it twice, then asks on it."""
    answered, opened, asked = threading.Event(), itertools.count(1), []

    def stream(connection):
        body = events(QUESTION) if next(opened) == 3 else b": nothing\n\n"
        connection.respond(body, headers=EVENTS)

    def late(connection, seen):
        answered.wait(10)
        fine(connection, seen)

    def note(request_id):
        if request_id == QUESTION["id"]:
            answered.set()

    def answer(request):
        asked.append(request.message)
        return InputAnswer("decline")

    server = raw_server(in_one_session(late, stream, note))
    MCPClient(legacy(server)).call("greet", {}, on_question=answer)

    assert asked == ["Who?"]


def test_pings_are_answered_while_a_person_is_asked(raw_server):
    pinged = threading.Event()
    ping = {"jsonrpc": "2.0", "id": 8, "method": "ping"}

    def asks_and_pings(connection, seen):
        connection.respond(events(QUESTION, ping, answer_to(seen)), headers=EVENTS)

    def note(request_id):
        if request_id == ping["id"]:
            pinged.set()

    def thinking(request):
        assert pinged.wait(10)
        return InputAnswer("decline")

    client = MCPClient(legacy(raw_server(in_one_session(asks_and_pings, on_reply=note))))

    assert client.call("greet", {}, on_question=thinking).text == "fine"
    assert pinged.is_set()


def test_a_server_without_such_a_stream_is_asked_for_it_once(raw_server):
    server = raw_server(in_one_session())
    client = MCPClient(legacy(server))
    for _ in range(3):
        client.call("greet", {}, on_question=dismiss)

    assert [seen.method for seen in server.requests].count("GET") == 1


def test_an_answer_that_makes_no_sense_costs_no_session(raw_server):
    first = [True]

    def once_nonsense(connection, seen):
        if first:
            first.pop()
            connection.respond(b"{}", headers={"Content-Type": "application/json"})
        else:
            fine(connection, seen)

    server = raw_server(in_one_session(once_nonsense))
    client = MCPClient(legacy(server))
    with pytest.raises(ProtocolError):
        client.call("greet", {}, on_question=dismiss)
    client.call("greet", {}, on_question=dismiss)

    assert [seen.rpc_method for seen in server.requests].count("initialize") == 1


@pytest.mark.parametrize("tool_waits_on", ["call", "session"])
def test_the_calls_time_stands_still_while_a_person_is_asked(sdk_server, tool_waits_on):
    async def asks_on_the_call(context, params):
        answer = await context.session.elicit_form(
            "Who?", FORM, related_request_id=context.request_id
        )
        return {"action": answer.action, "content": answer.content}

    tool = asks_on_the_call if tool_waits_on == "call" else asks
    server = sdk_server(Offer("greet", conversation=tool), legacy_only=True)
    client = MCPClient(known(to(server, timeout=0.7)))

    def thinking(request):
        threading.Event().wait(1.5)
        return InputAnswer("accept", {"name": "Ada"})

    result = client.call("greet", {}, on_question=thinking)

    assert result.structured["content"] == {"name": "Ada"}
