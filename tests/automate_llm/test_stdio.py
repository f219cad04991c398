"""MCP on standard streams: what a correct server gets, and what a bad one cannot do."""

import functools
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from automate_llm.exceptions import (
    CallCancelled,
    ConnectionFailed,
    DeadlineExceeded,
    LimitExceeded,
    MCPClientError,
    ProtocolError,
)
from automate_llm.mcp_client import MCPClient
from automate_llm.transports import stdio_opening
from automate_llm.values import Connection, Progress, StdioCommand

from .calling import Stopped
from .stdio_calling import SERVERS, failure, methods, no_process_is_left, raw, to, value, within

_clean = pytest.fixture(scope="module", autouse=True)(no_process_is_left)


@functools.cache
def _sdk(version: str) -> Connection:
    command = StdioCommand((sys.executable, str(SERVERS / "stdio_server.py")))
    connection = to(command, protocol_version=version, timeout=20.0)
    MCPClient(connection).call("pid", {})
    return connection


@pytest.fixture(params=["", "2025-11-25"])
def sdk(request: pytest.FixtureRequest) -> Connection:
    """The official SDK's server, of the modern era and of the one with a handshake."""
    return _sdk(request.param)


def test_resources_and_prompts_are_found_and_read(sdk: Connection) -> None:
    client = MCPClient(sdk)

    assert [each["uri"] for each in client.discover_resources()] == ["note://today"]
    assert [each["name"] for each in client.discover_prompts()] == ["greet"]
    assert client.read_resource("note://today")[0]["resource"]["text"] == "paint the fence"
    assert "Ann" in client.get_prompt("greet", {"name": "Ann"}).messages[0].content["text"]


def test_tools_are_found_and_called(sdk: Connection) -> None:
    found = MCPClient(sdk).discover()

    assert {"add", "pid"} <= {tool.name for tool in found.tools}
    assert found.protocol == "mcp"
    assert found.protocol_version == (sdk.protocol_version or "2026-07-28")
    assert (found.server_name, found.server_version) == ("Stdio server", "1.5")
    assert found.instructions == "Ask it for sums."
    assert value(sdk, "add", a=2, b=3) == {"result": 5}


def test_a_failure_of_the_tool_is_a_result(sdk: Connection) -> None:
    assert MCPClient(sdk).call("fail", {}).is_error


def test_progress_is_heard(sdk: Connection) -> None:
    heard: list[Progress] = []

    MCPClient(sdk).call("work", {}, on_progress=heard.append)

    assert heard == [Progress(1, 2, "half")]


def test_threads_share_one_process_and_each_gets_its_own_answers(sdk: Connection) -> None:
    def work(number: int) -> tuple[int, int]:
        return value(sdk, "add", a=number, b=1)["result"], value(sdk, "pid")["result"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(work, range(16)))

    assert [answer for answer, _ in answers] == list(range(1, 17))
    assert len({pid for _, pid in answers}) == 1


def test_a_call_that_is_stopped_is_cancelled_at_the_server(sdk: Connection) -> None:
    call = Stopped(lambda cancellation: MCPClient(sdk).call("hang", {}, cancellation=cancellation))
    value(sdk, "until_hanging")

    assert call.cancel() < 1
    assert isinstance(call.error, CallCancelled)
    assert call.error.may_have_run
    assert value(sdk, "until_cancelled") == {"result": "cancelled"}


@pytest.mark.parametrize(
    ("start", "version", "asked"),
    [
        ("modern", "2026-07-28", ["server/discover"]),
        ("late", "2026-07-28", ["server/discover", "initialize"]),
        ("legacy", "2025-06-18", ["server/discover", "initialize", "notifications/initialized"]),
        ("older", "2025-06-18", ["server/discover", "initialize", "notifications/initialized"]),
        ("mute", "2025-06-18", ["server/discover", "initialize", "notifications/initialized"]),
        ("fragile", "2025-06-18", ["initialize", "notifications/initialized"]),
    ],
)
def test_the_version_is_settled_as_the_specification_says(
    start: str, version: str, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if start in ("mute", "late"):
        monkeypatch.setattr(stdio_opening, "PROBE_SECONDS", 0.2)
    server = raw(start)

    assert MCPClient(server).discover().protocol_version == version
    assert methods(server) == [*asked, "tools/list"]


def test_a_call_tries_the_known_version_first_and_probes_where_it_is_refused() -> None:
    kept = raw("legacy", protocol_version="2025-06-18")
    changed = raw("modern", protocol_version="2025-06-18")

    assert methods(kept) == ["initialize", "notifications/initialized"]
    assert methods(changed) == ["initialize", "server/discover"]


@pytest.mark.parametrize("start", ["stranger", "ancient", "refusing"])
def test_a_server_of_no_known_version_is_refused_and_ended(start: str) -> None:
    error = failure(raw(start))

    assert isinstance(error, ProtocolError)
    assert not error.may_have_run


def test_a_modern_request_carries_its_metadata_and_a_progress_token() -> None:
    [_probe, call] = value(raw("modern"), "heard")

    meta = call["params"]["_meta"]
    assert meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert meta["io.modelcontextprotocol/clientInfo"]["name"] == "django-automate"
    extensions = {"io.modelcontextprotocol/tasks": {}}
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {"extensions": extensions}
    assert meta["progressToken"] == call["id"]


def test_an_older_servers_requests_are_declined_and_its_ping_is_answered() -> None:
    declined, pong = value(raw("legacy"), "asks")

    assert (declined["id"], declined["error"]["code"]) == ("a", -32601)
    assert pong == {"jsonrpc": "2.0", "id": "b", "result": {}}


def test_a_modern_servers_requests_are_not_answered() -> None:
    server = raw("modern")

    value(server, "asks", wait=False)

    assert all("method" in message for message in value(server, "heard"))


def test_an_exit_in_the_middle_of_a_call_leaves_its_outcome_open_and_the_next_call_works() -> None:
    server = raw()
    before = value(server, "pid")

    error = failure(server, "exit")

    assert isinstance(error, ConnectionFailed)
    assert "exit status 3" in str(error)
    assert error.may_have_run
    assert value(server, "pid") != before


def test_a_call_that_is_never_answered_ends_with_its_deadline_and_is_cancelled() -> None:
    server = raw()
    value(server, "pid")

    error = failure(within(server, 0.2), "silent")

    assert isinstance(error, DeadlineExceeded)
    assert error.may_have_run
    silent, cancelled = value(server, "heard")[-3:-1]
    assert cancelled["method"] == "notifications/cancelled"
    assert cancelled["params"] == {"requestId": silent["id"]}


def test_an_answer_that_comes_too_late_is_nobodys() -> None:
    server = raw()
    value(server, "pid")
    failure(within(server, 0.2), "silent")

    assert value(server, "answer the silent ones") == "fine"
    assert isinstance(value(server, "pid"), int)


def test_what_a_deaf_server_never_took_did_not_run() -> None:
    server = raw()
    value(server, "pid")
    hurried = within(server, 0.2)

    assert failure(hurried, "deaf").may_have_run
    assert failure(hurried, "pid", filler="x" * 900_000).may_have_run
    assert not failure(hurried, "pid").may_have_run


def test_an_answer_must_have_the_requests_id_and_only_the_first_counts() -> None:
    server = raw()

    assert value(server, "confused") == "first"
    assert isinstance(value(server, "pid"), int)


def test_an_error_without_an_id_is_for_the_only_request_under_way() -> None:
    error = failure(raw(), "nameless")

    assert "-32700" in str(error)
    assert not error.may_have_run


def test_some_rubbish_is_passed_over() -> None:
    assert value(raw(), "rubbish", lines=50) == "fine"


@pytest.mark.parametrize(
    ("tool", "arguments", "kind", "word"),
    [
        ("rubbish", {"lines": 101}, ProtocolError, "standard error"),
        ("long", {}, LimitExceeded, "4 MB"),
        ("deep", {}, LimitExceeded, "deeper"),
        ("unasked", {}, LimitExceeded, "nobody asked for"),
    ],
)
def test_too_much_of_anything_ends_the_call(
    tool: str, arguments: dict[str, Any], kind: type[MCPClientError], word: str
) -> None:
    error = failure(raw(), tool, **arguments)

    assert type(error) is kind
    assert word in str(error)
    assert error.may_have_run


def test_an_endless_printer_is_ended_at_once() -> None:
    error = failure(raw("endless"))

    assert isinstance(error, ProtocolError)
    assert not error.may_have_run
