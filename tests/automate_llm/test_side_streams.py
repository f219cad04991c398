"""The stream of a session, shared by its calls, on which an older server may ask."""

import asyncio
import threading
import time

import pytest

from automate_llm.clock import Clock
from automate_llm.mcp_client import MCPClient
from automate_llm.values import InputAnswer
from tests.servers.mcp_sdk import Offer

from .calling import answer_to, known, to
from .test_sessions import legacy

FORM = {"type": "object", "properties": {"name": {"type": "string"}}}


async def asks(context, params):
    answer = await context.session.elicit_form("Who?", FORM)
    return {"action": answer.action, "content": answer.content}


def in_thread(work):
    """What the work gives, which goes on meanwhile."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    return thread, results


def test_a_question_outlives_the_call_that_it_was_taken_for(sdk_server):
    quick_may_end, asked = threading.Event(), []

    async def quick(context, params):
        while not quick_may_end.is_set():
            await asyncio.sleep(0.01)
        return "done"

    server = sdk_server(
        Offer("quick", conversation=quick), Offer("greet", conversation=asks), legacy_only=True
    )
    client = MCPClient(known(to(server)))
    over = threading.Event()

    def dismissed(request):
        asked.append("quick")
        quick_may_end.set()
        over.wait(10)  # its call ends first, and a person cannot answer it any more
        return InputAnswer("cancel")

    def answered(request):
        asked.append("greet")
        return InputAnswer("accept", {"name": "Ada"})

    first, done = in_thread(lambda: client.call("quick", {}, on_question=dismissed))
    while not server.calls("quick"):
        time.sleep(0.01)
    second, greeted = in_thread(lambda: client.call("greet", {}, on_question=answered))
    first.join(10)
    over.set()
    second.join(10)

    assert done[0].text == "done"
    assert greeted[0].structured == {"action": "accept", "content": {"name": "Ada"}}
    assert asked == ["quick", "greet"]
    listened = [seen for seen in server.requests if seen.method == "GET"]
    assert len(listened) == 1


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
