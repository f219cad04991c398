import threading

import pytest
import requests

from .rest import Refusal, RestServer
from .threads import threads_begun

TOOLS = [{"name": "add", "description": "Adds.", "inputSchema": {"type": "object"}}]


def execute(server, tool, **arguments):
    return requests.post(
        f"{server.url}/execute", json={"tool": tool, "arguments": arguments}, timeout=5
    )


def test_it_lists_its_tools_and_runs_them(rest_server):
    server = rest_server(TOOLS, lambda tool, arguments: {tool: arguments["a"] + 1})

    assert requests.get(f"{server.url}/tools", timeout=5).json() == {"tools": TOOLS}
    assert execute(server, "add", a=1).json() == {"result": {"add": 2}}
    assert server.calls("add") == [{"a": 1}]


def test_a_handler_may_refuse(rest_server):
    def refuse(tool, arguments):
        raise Refusal(422, {"error": "no"})

    answer = execute(rest_server(TOOLS, refuse), "add")

    assert answer.status_code == 422
    assert answer.json() == {"error": "no"}


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"token": "t0ken"}, {"Authorization": "Bearer t0ken"}),
        ({"api_key": "k3y", "api_key_header": "Shop-Key"}, {"Shop-Key": "k3y"}),
    ],
)
def test_a_credential_is_required_where_one_is_set(rest_server, options, header):
    server = rest_server(**options)

    assert requests.get(f"{server.url}/tools", timeout=5).status_code == 401
    assert requests.get(f"{server.url}/tools", headers=header, timeout=5).status_code == 200


def test_every_request_can_be_refused(rest_server):
    server = rest_server(TOOLS)
    server.refuse_with = 503

    assert requests.get(f"{server.url}/tools", timeout=5).status_code == 503


def test_it_stops_with_a_kept_connection_and_leaves_no_thread():
    with threads_begun() as left, RestServer(TOOLS) as server, requests.Session() as session:
        session.get(f"{server.url}/tools", timeout=5)
        server.stop()

        assert not left()


def test_it_stops_while_a_call_is_under_way():
    started = threading.Event()

    def hang(tool, arguments):
        started.set()
        server.stopping.wait(30)

    server = RestServer(TOOLS, hang)
    failures = []

    def ask():
        try:
            execute(server, "add")
        except requests.RequestException as exc:  # cut before, or in the middle of, the answer
            failures.append(exc)

    client = threading.Thread(target=ask)
    client.start()
    assert started.wait(10)
    server.stop()
    client.join(10)

    assert not client.is_alive()
