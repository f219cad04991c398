"""Servers of the old event stream: found, spoken to, and held to their own origin."""

import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from automate_llm.cancellation import Cancellation
from automate_llm.exceptions import (
    CallCancelled,
    DeadlineExceeded,
    LimitExceeded,
    ProtocolError,
    UnexpectedStatus,
)
from automate_llm.mcp_client import MCPClient
from automate_llm.transports import http_sse
from automate_llm.transports.http_sse import message_address
from automate_llm.values import Progress
from tests.servers.mcp_sdk import Offer
from tests.servers.raw import RawConnection, chunk, head

from .calling import Stopped, call, failure, known, to

ENDPOINT = b"event: endpoint\ndata: /messages?session=1\n\n"


def sse(server: Any, **changes: Any) -> Any:
    return to(server, **{"protocol": "sse", **changes})


def event(message: dict[str, Any]) -> bytes:
    return f"data: {json.dumps({'jsonrpc': '2.0', **message})}\n\n".encode()


class Script:
    """An old server in one object: `answer` gives what each request puts on the stream.

    `None` stands for silence, and bytes go as they are. Streamable HTTP is refused with the status
    `refusal`, and a message of the method `refuse` with 400.
    """

    def __init__(
        self,
        answer: Any = None,
        *,
        endpoint: bytes = ENDPOINT,
        refusal: str = "405 Method Not Allowed",
        refuse: str = "nothing",
    ) -> None:
        self.answer = answer or (lambda request: {"content": [{"type": "text", "text": "fine"}]})
        self.posted: list[dict[str, Any]] = []
        self.called = threading.Event()
        self.stream: RawConnection | None = None
        self._endpoint, self._refusal, self._refuse = endpoint, refusal, refuse

    def __call__(self, connection: RawConnection) -> None:
        while True:
            seen = connection.read_request()
            if seen.path != "/messages?session=1" and (seen.method, seen.path) != ("GET", "/mcp"):
                connection.respond(b"", self._refusal)
                continue
            if seen.method == "GET":
                self.stream = connection
                fields = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
                connection.send(head(headers=fields) + chunk(self._endpoint))
                connection.wait_for_end()
                return
            self.posted.append(seen.body)
            if self._refuse == seen.rpc_method:
                connection.respond(b"", "400 Bad Request")
                continue
            connection.respond(b"", "202 Accepted")
            if "id" in seen.body and "method" in seen.body:
                self._answer(seen.body)

    def _answer(self, request: dict[str, Any]) -> None:
        assert self.stream is not None
        if request["method"] == "initialize":
            result = {"protocolVersion": "2024-11-05"}
        else:
            result = self.answer(request)
            self.called.set()
        if isinstance(result, bytes):
            self.stream.send(chunk(result))
        elif result is not None:
            self.stream.send(chunk(event({"id": request["id"], "result": result})))


def test_tools_are_found_and_called_and_the_row_knows_how(sdk_server: Any) -> None:
    server = sdk_server(
        Offer("tool", handler=lambda arguments: {"sum": 5}),
        Offer("other"),
        sse=True,
        page_size=1,
        token="t0ken-of-this-server",
    )
    connection = to(server, headers={"Authorization": "Bearer t0ken-of-this-server"})

    found = MCPClient(connection).discover()

    assert [tool.name for tool in found.tools] == ["tool", "other"]
    assert (found.protocol, found.server_name) == ("sse", "Test server")
    assert call(known(connection)).value == {"sum": 5}
    assert {seen.headers["authorization"] for seen in server.requests} == {
        "Bearer t0ken-of-this-server"
    }


def test_progress_is_heard(sdk_server: Any) -> None:
    async def work(arguments: Any, session: Any) -> str:
        await session.report_progress(1, 2, "half")
        return "done"

    server = sdk_server(Offer("tool", handler=work), sse=True)
    heard: list[Progress] = []

    call(sse(server), on_progress=heard.append)

    assert heard == [Progress(1, 2, "half")]


def test_many_threads_call_at_once_and_each_gets_its_own_answer(sdk_server: Any) -> None:
    server = sdk_server(Offer("echo", handler=lambda arguments: arguments), sse=True)
    client = MCPClient(sse(server))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: client.execute_tool("echo", {"n": n}), range(16)))

    assert answers == [{"n": number} for number in range(16)]


def test_a_settled_server_is_asked_over_its_stream_only(raw_server: Any) -> None:
    script = Script()
    server = raw_server(script)

    assert call(sse(server)).text == "fine"
    assert [seen.method for seen in server.requests] == ["GET", "POST", "POST", "POST"]
    assert [message["method"] for message in script.posted] == [
        "initialize",
        "notifications/initialized",
        "tools/call",
    ]
    assert {seen.path for seen in server.requests[1:]} == {"/messages?session=1"}


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "405 Method Not Allowed"])
def test_auto_looks_for_the_old_stream_where_streamable_http_is_refused(
    raw_server: Any, status: str
) -> None:
    server = raw_server(Script(lambda request: {"tools": []}, refusal=status))

    assert MCPClient(to(server)).discover().protocol == "sse"


@pytest.mark.parametrize("status", ["401 Unauthorized", "500 Internal Server Error"])
def test_auto_looks_for_no_old_stream_after_another_refusal(raw_server: Any, status: str) -> None:
    server = raw_server(Script(refusal=status))

    assert not failure(to(server)).may_have_run
    assert "/mcp" not in [seen.path for seen in server.requests if seen.method == "GET"]


def test_auto_says_that_the_old_stream_wants_a_credential(raw_server: Any) -> None:
    def refusing(connection: RawConnection) -> None:
        while True:
            seen = connection.read_request()
            wants = (seen.method, seen.path) == ("GET", "/mcp")
            connection.respond(b"", "401 Unauthorized" if wants else "405 Method Not Allowed")

    assert "HTTP 401" in str(failure(to(raw_server(refusing))))


def test_auto_still_finds_the_simple_dialect_behind_a_stream_that_says_nothing(
    rest_server: Any,
) -> None:
    server = rest_server([{"name": "tool", "inputSchema": {"type": "object"}}])

    assert MCPClient(to(server)).discover().protocol == "rest"


@pytest.mark.parametrize(
    ("named", "address"),
    [
        (b"/messages?session=1", "http://a.test:8080/messages?session=1"),
        (b"messages", "http://a.test:8080/x/messages"),
        (b"?session=1", "http://a.test:8080/x/sse?session=1"),
        (b"http://a.test:8080/m", "http://a.test:8080/m"),
        (b"HTTP://A.TEST:8080/m#part", "http://a.test:8080/m"),
    ],
)
def test_an_address_of_the_same_origin_is_taken(named: bytes, address: str) -> None:
    assert message_address("http://a.test:8080/x/sse", named) == address


@pytest.mark.parametrize(
    "named",
    [
        b"http://b.test:8080/m",
        b"http://a.test/m",
        b"https://a.test:8080/m",
        b"//b.test/m",
        b"http://user@a.test:8080/m",
        b"http://a.test:8080\\@b.test/m",
        b"http://[/m",
        b"http://a.test:99999999/m",
        b"/m x",
        b"/m\x00",
        b"/\xff",
        b" ",
        b"/" + b"m" * 3_000,
    ],
)
def test_another_address_is_refused(named: bytes) -> None:
    with pytest.raises(ProtocolError):
        message_address("http://a.test:8080/x/sse", named)


def test_nothing_is_sent_to_another_origin(raw_server: Any) -> None:
    other = raw_server(Script())
    server = raw_server(Script(endpoint=f"event: endpoint\ndata: {other.url}\n\n".encode()))

    error = failure(sse(server))

    assert "another origin" in str(error)
    assert not error.may_have_run
    assert (len(server.requests), len(other.requests)) == (1, 0)


@pytest.mark.parametrize("beginning", [b"", b": ping\n\n", b"data: x\n\n" * 20])
def test_a_stream_that_names_no_address_is_given_up_soon(
    raw_server: Any, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(http_sse, "OPEN_SECONDS", 0.2)

    error = failure(sse(raw_server(Script(endpoint=beginning or b":\n"))))

    assert isinstance(error, ProtocolError)
    assert "names no address" in str(error)
    assert not error.may_have_run


def test_an_answer_that_is_no_stream_is_refused(raw_server: Any) -> None:
    server = raw_server(lambda connection: connection.read_request() and connection.respond("hi"))

    error = failure(sse(server))

    assert isinstance(error, ProtocolError)
    assert not error.may_have_run


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_refused_stream_says_its_status(sdk_server: Any, status: int) -> None:
    server = sdk_server(Offer("tool"), sse=True)
    server.refuse_with = status

    error = failure(sse(server))

    assert isinstance(error, UnexpectedStatus)
    assert error.status_code == status
    assert not error.may_have_run


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"data: {\n\n", ProtocolError),
        (event({"id": -1, "result": {}}) + b"data: []\n\ndata: 5\n\n", ProtocolError),
        (b"data: " + b"x" * 1_100_000, LimitExceeded),
        (
            event({"method": "notifications/message", "params": {"x": "x" * 900_000}}) * 12,
            LimitExceeded,
        ),
    ],
)
def test_a_broken_or_endless_answer_leaves_the_outcome_open(
    raw_server: Any, answer: bytes, kind: type[Exception]
) -> None:
    error = failure(sse(raw_server(Script(lambda request: answer))))

    assert type(error) is kind
    assert error.may_have_run


def test_a_stream_that_breaks_after_the_call_leaves_the_outcome_open(raw_server: Any) -> None:
    script = Script()

    def breaking(request: Any) -> None:
        assert script.stream is not None
        script.stream.close()

    script.answer = breaking

    assert failure(sse(raw_server(script))).may_have_run


def test_a_call_that_is_refused_where_it_is_posted_did_not_run(raw_server: Any) -> None:
    error = failure(sse(raw_server(Script(refuse="tools/call"))))

    assert isinstance(error, UnexpectedStatus)
    assert not error.may_have_run


def test_a_drip_of_comments_ends_with_the_deadline_and_the_server_is_told(raw_server: Any) -> None:
    script = Script()

    def dripping(request: Any) -> None:
        assert script.stream is not None
        script.stream.drip(itertools.repeat(chunk(b":\n")), 0.02)

    script.answer = dripping
    error = failure(sse(raw_server(script), timeout=0.3))

    assert isinstance(error, DeadlineExceeded)
    assert error.may_have_run


def test_a_call_whose_time_is_up_is_cancelled_at_the_server(raw_server: Any) -> None:
    script = Script(lambda request: None)

    error = failure(sse(raw_server(script), timeout=0.3))

    assert error.may_have_run
    *_, posted, cancelled = script.posted
    assert cancelled["method"] == "notifications/cancelled"
    assert cancelled["params"] == {"requestId": posted["id"]}


def test_a_stopped_call_ends_at_once(raw_server: Any) -> None:
    script = Script(lambda request: None)
    server = raw_server(script)

    def work(cancellation: Cancellation) -> None:
        call(sse(server), cancellation=cancellation)

    stopped = Stopped(work)
    assert script.called.wait(5)

    assert stopped.cancel() < 1
    assert isinstance(stopped.error, CallCancelled)
    assert stopped.error.may_have_run


def test_a_reply_that_is_refused_does_not_hide_what_the_call_did(raw_server: Any) -> None:
    def pinging(request: Any) -> bytes:
        return event({"id": 1, "method": "ping"}) + event({"id": request["id"], "result": {}})

    assert call(sse(raw_server(Script(pinging, refuse="")))).content == ()


def test_the_servers_requests_are_declined_and_its_ping_is_answered(raw_server: Any) -> None:
    script = Script(
        lambda request: (
            event({"id": "a", "method": "roots/list"})
            + event({"id": "b", "method": "ping"})
            + event({"id": request["id"], "result": {"content": []}})
        )
    )

    call(sse(raw_server(script)))

    declined, pong = script.posted[-2:]
    assert (declined["id"], declined["error"]["code"]) == ("a", -32601)
    assert pong == {"jsonrpc": "2.0", "id": "b", "result": {}}
