import threading
from concurrent.futures import ThreadPoolExecutor

from automate_llm.cancellation import Cancellation
from automate_llm.exceptions import CallCancelled
from automate_llm.http import close_pools
from automate_llm.mcp_client import MCPClient

from .calling import answer_to, answering, call, failure, settled, to


def echoing(connection):
    """The script of a server that answers with the credential and the arguments it was sent."""
    while True:
        seen = connection.read_request()
        said = f"{seen.headers['x-api-key']} {seen.body['params']['arguments']['n']}"
        # Texts that hold the caller's own key come back redacted: say it in pieces.
        connection.respond(answer_to(seen, text="-".join(said)))


def test_no_call_ever_sees_anything_of_another(raw_server):
    servers = [raw_server(echoing) for _ in range(3)]
    # The same server row, and so the same pool, for all of its callers.
    rows = [settled(server) for server in servers]

    def one(number):
        row = rows[number % 3]
        key = f"key-of-{number % 7}"
        connection = settled(row, url=row.endpoint_url, headers={"X-API-Key": key})
        client = MCPClient(connection, principal=str(number % 7))
        return client.call("tool", {"n": number}).text == "-".join(f"{key} {number}")

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(300)))
    for server, row in zip(servers, rows, strict=True):
        assert {seen.headers["host"] for seen in server.requests} == {
            row.endpoint_url.split("/")[2]
        }
        assert len(server.requests) == 100


def test_one_client_serves_many_threads(raw_server):
    server = raw_server(answering)
    client = MCPClient(settled(server))
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda number: client.execute_tool("tool", {}), range(80)))

    assert texts == ["fine"] * 80
    assert len(server.requests) == 80
    assert len(server.connections) <= 8


def test_a_stuck_server_delays_nobody_else(raw_server):
    reached = threading.Semaphore(0)

    def hang(connection):
        connection.read_request()
        reached.release()
        connection.wait_for_end()

    stuck = settled(raw_server(hang), timeout=30)
    lively = settled(raw_server(answering))
    cancellation = Cancellation()
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(failure, stuck, cancellation=cancellation) for _ in range(4)]
        for _ in waiting:
            assert reached.acquire(timeout=5)
        texts = [call(lively).text for _ in range(10)]
        still_waiting = [not each.done() for each in waiting]
        cancellation.cancel()
        errors = [each.result() for each in waiting]

    assert texts == ["fine"] * 10
    assert all(still_waiting)
    assert all(isinstance(error, CallCancelled) for error in errors)


def test_calls_of_one_server_do_not_wait_for_each_other(raw_server):
    together = threading.Barrier(6)

    def script(connection):
        seen = connection.read_request()
        together.wait(5)
        connection.respond(answer_to(seen))

    connection = settled(raw_server(script))
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda number: call(connection).text, range(6)))

    assert answers == ["fine"] * 6


def test_pools_may_be_closed_while_calls_are_under_way(raw_server):
    arrived, release = threading.Event(), threading.Event()

    def script(connection):
        while True:
            seen = connection.read_request()
            arrived.set()
            release.wait(5)
            connection.respond(answer_to(seen))

    connection = settled(raw_server(script))
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(call, connection)
        assert arrived.wait(5)
        close_pools()
        release.set()

        assert under_way.result().text == "fine"
    assert call(connection).text == "fine"


def test_many_servers_are_asked_at_once(rest_server):
    servers = [
        rest_server([{"name": f"tool{number}", "inputSchema": {}}], api_key=f"key-number-{number}")
        for number in range(12)
    ]

    def names(number):
        headers = {"X-API-Key": f"key-number-{number}"}
        tools = MCPClient(to(servers[number], headers=headers)).discover_tools()
        return [tool["name"] for tool in tools]

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(names, range(12)))

    assert found == [[f"tool{number}"] for number in range(12)]
    for number, server in enumerate(servers):
        assert {seen.headers["x-api-key"] for seen in server.requests} == {f"key-number-{number}"}
