import asyncio
import threading
import time

import pytest
import requests
from mcp import Client
from mcp.shared.exceptions import MCPError

from .mcp_sdk import Offer, SDKServer
from .threads import threads_begun


def call(server, name, mode="auto", **arguments):
    async def run():
        async with Client(server.url, mode=mode) as client:
            return await client.call_tool(name, arguments)

    return asyncio.run(run())


def listed(server, mode="auto"):
    async def run():
        names, cursor = [], None
        async with Client(server.url, mode=mode) as client:
            while True:
                page = await client.list_tools(cursor=cursor)
                names += [tool.name for tool in page.tools]
                if (cursor := page.next_cursor) is None:
                    return names

    return asyncio.run(run())


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
@pytest.mark.parametrize("json_response", [True, False])
def test_a_tool_is_called_in_both_eras_and_both_forms(sdk_server, mode, json_response):
    server = sdk_server(
        Offer("add", handler=lambda arguments: {"sum": arguments["a"] + arguments["b"]}),
        json_response=json_response,
    )

    result = call(server, "add", mode, a=2, b=3)

    assert result.structured_content == {"sum": 5}
    assert server.calls("add") == [{"a": 2, "b": 3}]


def test_the_list_comes_in_pages(sdk_server):
    server = sdk_server(*[Offer(f"tool{number}") for number in range(5)], page_size=2)

    assert listed(server) == ["tool0", "tool1", "tool2", "tool3", "tool4"]
    assert len(server.seen("tools/list")) == 3


def test_the_tools_may_change_while_it_runs(sdk_server):
    server = sdk_server(Offer("before"))
    listed(server)
    server.tools = [Offer("after")]

    assert listed(server) == ["after"]


def test_an_exception_is_an_error_result(sdk_server):
    def fail(arguments):
        raise ValueError("out of paint")

    result = call(sdk_server(Offer("paint", handler=fail)), "paint")

    assert result.is_error
    assert result.content[0].text == "out of paint"


def test_an_unknown_tool_is_a_json_rpc_error(sdk_server):
    server = sdk_server()

    async def run():
        async with Client(server.url) as client:
            with pytest.raises(MCPError, match="Unknown tool: nope"):
                await client.call_tool("nope", {})

    asyncio.run(run())

    assert server.calls("nope") == [{}]


def test_progress_is_reported(sdk_server):
    async def work(arguments, session):
        await session.report_progress(1, 2, "half")
        return "done"

    server = sdk_server(Offer("work", handler=work))
    heard = []

    async def note(progress, total, message):
        heard.append((progress, total, message))

    async def run():
        async with Client(server.url) as client:
            await client.call_tool("work", {}, progress_callback=note)

    asyncio.run(run())

    assert heard == [(1, 2, "half")]


def test_an_older_server_refuses_the_stateless_protocol_and_shakes_hands(sdk_server):
    server = sdk_server(Offer("old"), legacy_only=True)

    assert listed(server, "auto") == ["old"]
    assert server.seen("initialize")


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"token": "t0ken"}, {"Authorization": "Bearer t0ken"}),
        ({"api_key": "k3y"}, {"X-API-Key": "k3y"}),
        ({"api_key": "k3y", "api_key_header": "Shop-Key"}, {"Shop-Key": "k3y"}),
    ],
)
def test_a_credential_is_required_where_one_is_set(sdk_server, options, header):
    server = sdk_server(**options)

    assert requests.post(server.url, json={}, timeout=5).status_code == 401
    assert requests.post(server.url, json={}, headers=header, timeout=5).status_code != 401
    assert [seen.headers.get(next(iter(header)).lower()) for seen in server.requests] == [
        None,
        next(iter(header.values())),
    ]


def test_forgotten_sessions_are_404(sdk_server):
    server = sdk_server(Offer("tool"))
    headers = {"Accept": "application/json, text/event-stream", "Mcp-Session-Id": "s1"}
    requests.post(server.url, json={}, headers=headers, timeout=5)
    server.forget_sessions()

    answer = requests.post(server.url, json={}, headers=headers, timeout=5)

    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "Session not found"


def test_it_starts_and_stops_quickly_and_leaves_no_thread():
    began = time.monotonic()
    with threads_begun() as left:
        with SDKServer(Offer("tool")) as server:
            call(server, "tool")
        took = time.monotonic() - began

        assert not left()
    assert took < 2


def test_it_stops_while_a_call_is_under_way():
    started = threading.Event()
    server = SDKServer()

    def hang(arguments):
        started.set()
        server.stopping.wait(30)

    server.tools = [Offer("hang", handler=hang)]
    outcome = []

    def ask():
        try:
            call(server, "hang")
        except Exception as exc:  # whichever way the SDK's client says that it was cut off
            outcome.append(exc)

    client = threading.Thread(target=ask)
    client.start()
    assert started.wait(10)
    server.stop()
    client.join(10)

    assert not client.is_alive()
    assert outcome
