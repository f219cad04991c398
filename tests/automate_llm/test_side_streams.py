"""The stream of a session, shared by its calls, on which an older server may ask."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from automate_llm.clock import Clock
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
        client.call("greet", {}, on_question=lambda request: InputAnswer("cancel"))

    [session] = {seen.headers["mcp-session-id"] for seen in server.seen("tools/call")}
    client.close()
    ended = [seen for seen in server.requests if seen.method == "DELETE"]
    assert session in {seen.headers["mcp-session-id"] for seen in ended}


def test_a_stream_that_ends_is_opened_again(raw_server):
    """The server ends it twice, then asks on it."""
    answered = threading.Event()
    opened = itertools.count(1)
    question = {"jsonrpc": "2.0", "id": 7, "method": "elicitation/create", "params": PARAMS}

    def script(connection):
        while True:
            seen = connection.read_request()
            if seen.method == "GET":
                body = events(question) if next(opened) == 3 else b": nothing\n\n"
                connection.respond(body, headers={"Content-Type": "text/event-stream"})
            elif seen.rpc_method == "initialize":
                result = {"protocolVersion": "2025-11-25", "capabilities": {}}
                answer = {"jsonrpc": "2.0", "id": seen.body["id"], "result": result}
                connection.respond(answer, headers={"Mcp-Session-Id": "s1"})
            elif seen.rpc_method == "tools/call":
                answered.wait(10)
                connection.respond(answer_to(seen))
            else:
                if seen.body.get("id") == 7:
                    answered.set()
                connection.respond(b"", "202 Accepted")

    server = raw_server(script)
    asked = []

    def answer(request):
        asked.append(request.message)
        return InputAnswer("decline")

    MCPClient(legacy(server)).call("greet", {}, on_question=answer)

    assert asked == ["Who?"]


def test_pings_are_answered_while_a_person_is_asked(raw_server):
    pinged = threading.Event()
    question = {"jsonrpc": "2.0", "id": 7, "method": "elicitation/create", "params": PARAMS}
    ping = {"jsonrpc": "2.0", "id": 8, "method": "ping"}

    def script(connection):
        while True:
            seen = connection.read_request()
            if seen.method == "GET":
                connection.respond(b"", "405 Method Not Allowed")
            elif seen.rpc_method == "initialize":
                result = {"protocolVersion": "2025-11-25", "capabilities": {}}
                answer = {"jsonrpc": "2.0", "id": seen.body["id"], "result": result}
                connection.respond(answer, headers={"Mcp-Session-Id": "s1"})
            elif seen.rpc_method == "tools/call":
                body = events(question, ping, answer_to(seen))
                connection.respond(body, headers={"Content-Type": "text/event-stream"})
            else:
                if seen.body.get("id") == 8:
                    pinged.set()
                connection.respond(b"", "202 Accepted")

    def thinking(request):
        assert pinged.wait(10)
        return InputAnswer("decline")

    client = MCPClient(legacy(raw_server(script)))

    assert client.call("greet", {}, on_question=thinking).text == "fine"
    assert pinged.is_set()


def test_a_server_without_such_a_stream_is_asked_for_it_once(raw_server):
    def script(connection):
        while True:
            seen = connection.read_request()
            if seen.method == "GET":
                connection.respond(b"", "405 Method Not Allowed")
            elif seen.rpc_method == "initialize":
                result = {"protocolVersion": "2025-11-25", "capabilities": {}}
                answer = {"jsonrpc": "2.0", "id": seen.body["id"], "result": result}
                connection.respond(answer, headers={"Mcp-Session-Id": "s1"})
            elif seen.rpc_method == "tools/call":
                connection.respond(answer_to(seen))
            else:
                connection.respond(b"", "202 Accepted")

    server = raw_server(script)
    client = MCPClient(legacy(server))
    for _ in range(3):
        client.call("greet", {}, on_question=lambda request: InputAnswer("cancel"))

    assert [seen.method for seen in server.requests].count("GET") == 1


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


def test_a_clock_that_is_held_twice_goes_on_after_both():
    clock = Clock(60)
    with clock.held():
        with clock.held():
            before = clock.left()
        threading.Event().wait(0.02)
        assert clock.left() == before
    assert clock.left() <= before
    threading.Event().wait(0.02)
    assert clock.left() < before


def test_a_clock_says_how_long_its_end_is_gone():
    assert Clock(-1).left() < 0
