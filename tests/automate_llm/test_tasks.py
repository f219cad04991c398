"""Calls that a server carries out as tasks, held to the extension's specification."""

import math
import threading

import pytest

from automate_llm.exceptions import (
    CallCancelled,
    ConnectionFailed,
    DeadlineExceeded,
    InputRequired,
    MCPClientError,
    ProtocolError,
    RPCError,
)
from automate_llm.mcp_client import MCPClient
from automate_llm.transports import tasks
from automate_llm.values import InputAnswer

from .calling import Stopped, call, failure, settled
from .test_sessions import handshaking, legacy

DONE = {"status": "completed", "result": {"content": [{"type": "text", "text": "fine"}]}}
WORKING = {"status": "working"}
QUESTION = {"method": "elicitation/create", "params": {"message": "Who?"}}
ASKING = {"status": "input_required", "inputRequests": {"who": QUESTION}}


def task(state, **more):
    fields = {"taskId": "t-1", "ttlMs": None, "pollIntervalMs": 1, "createdAt": "2026-01-01"}
    return {**fields, **state, **more}


def working_through(*states, first=WORKING, task_id="t-1"):
    """The script of a server whose task goes through these states, one for each question."""
    left = list(states)

    def script(connection):
        while True:
            seen = connection.read_request()
            if seen.rpc_method == "tools/call":
                result = {"resultType": "task", **task(first, taskId=task_id)}
            elif seen.rpc_method == "tasks/get":
                result = {"resultType": "complete", **task(left.pop(0) if left else WORKING)}
            else:
                result = {"resultType": "complete"}
            if result.get("hang_up"):
                connection.close()
                return
            connection.respond({"jsonrpc": "2.0", "id": seen.body["id"], "result": result})

    return script


def methods(server):
    return [seen.rpc_method for seen in server.requests]


def test_a_task_is_asked_for_until_it_is_done(raw_server):
    server = raw_server(working_through(WORKING, WORKING, DONE))

    assert call(settled(server)).text == "fine"
    assert methods(server) == ["tools/call", "tasks/get", "tasks/get", "tasks/get"]


def test_a_question_about_a_task_names_it_in_its_header(raw_server):
    server = raw_server(working_through(DONE, task_id="t\u00e4sk"))
    call(settled(server))

    asked = server.requests[1]
    assert asked.body["params"]["taskId"] == "t\u00e4sk"
    assert asked.headers["mcp-name"] == "=?base64?dMOkc2s=?="
    assert asked.headers["mcp-method"] == "tasks/get"
    assert asked.body["id"] != server.requests[0].body["id"]


def test_a_task_that_is_done_at_once_is_not_asked_for(raw_server):
    server = raw_server(working_through(first=DONE))

    assert call(settled(server)).text == "fine"
    assert methods(server) == ["tools/call"]


def test_a_task_tells_how_far_it_is(raw_server):
    states = [{**WORKING, "statusMessage": word} for word in ("packing", "packing", "shipping")]
    said = []
    call(settled(raw_server(working_through(*states, DONE))), on_progress=said.append)

    assert [progress.message for progress in said] == ["packing", "shipping"]


@pytest.mark.parametrize("pause", [0, -1, 0.5])
def test_a_pause_of_nothing_is_bounded(raw_server, pause):
    server = raw_server(working_through(DONE, first={**WORKING, "pollIntervalMs": pause}))

    assert call(settled(server)).text == "fine"


@pytest.mark.parametrize("pause", ["soon", None, True, math.nan])
def test_a_pause_that_is_none_is_our_own(raw_server, monkeypatch, pause):
    monkeypatch.setattr(tasks, "PAUSE_SECONDS", 0.001)
    server = raw_server(working_through(DONE, first={**WORKING, "pollIntervalMs": pause}))

    assert call(settled(server)).text == "fine"


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ({"status": "failed", "error": {"code": -32602, "message": "no"}}, RPCError),
        ({"status": "failed"}, RPCError),
        ({"status": "cancelled"}, MCPClientError),
        ({"status": "completed"}, ProtocolError),
        ({"status": "completed", "result": {"resultType": "task"}}, ProtocolError),
        ({"status": "dreaming"}, ProtocolError),
        ({"status": ["working"]}, ProtocolError),
        ({"status": "input_required", "inputRequests": {"k": 1}}, ProtocolError),
    ],
)
def test_a_task_that_comes_to_nothing_may_have_run(raw_server, state, kind):
    server = raw_server(working_through(state))
    error = failure(settled(server))

    assert isinstance(error, kind)
    assert not isinstance(error, InputRequired)
    assert error.may_have_run
    assert methods(server).count("tools/call") == 1


@pytest.mark.parametrize("task_id", ["", None, 7, "x" * 1_001])
def test_a_task_without_a_sensible_id_is_refused(raw_server, task_id):
    error = failure(settled(raw_server(working_through(task_id=task_id))))

    assert isinstance(error, ProtocolError)
    assert error.may_have_run


def test_a_task_that_takes_too_long_is_cancelled_and_may_have_run(raw_server):
    server = raw_server(working_through(first={**WORKING, "pollIntervalMs": 60_000}))
    error = failure(settled(server))

    assert isinstance(error, DeadlineExceeded)
    assert error.may_have_run
    assert methods(server) == ["tools/call", "tasks/cancel"]


def test_a_task_that_is_stopped_is_cancelled_at_the_server(raw_server):
    server = raw_server(working_through(first={**WORKING, "statusMessage": "begun"}))
    begun = threading.Event()
    connection = settled(server)
    stopped = Stopped(
        lambda cancellation: call(
            connection, cancellation=cancellation, on_progress=lambda word: begun.set()
        )
    )
    assert begun.wait(5)
    stopped.cancel()

    assert isinstance(stopped.error, CallCancelled)
    assert stopped.error.may_have_run
    assert methods(server)[-1] == "tasks/cancel"


def test_a_question_in_a_task_is_handed_out_and_its_answer_goes_on(raw_server):
    server = raw_server(working_through(ASKING, ASKING, WORKING, DONE))
    client = MCPClient(settled(server))
    with pytest.raises(InputRequired) as caught:
        client.call("tool", {}, asks=True)
    asked = caught.value
    answers = {"who": InputAnswer("accept", {"name": "Ada"})}
    result = client.call("tool", {}, input_responses=answers, task_id=asked.task_id)

    assert asked.requests["who"].message == "Who?"
    assert result.text == "fine"
    assert methods(server).count("tools/call") == 1
    [update] = [seen for seen in server.requests if seen.rpc_method == "tasks/update"]
    assert update.body["params"]["taskId"] == "t-1"
    assert update.body["params"]["inputResponses"] == {
        "who": {"action": "accept", "content": {"name": "Ada"}}
    }


def test_a_question_about_a_task_is_asked_again_where_the_network_failed(raw_server, monkeypatch):
    monkeypatch.setattr(tasks, "PAUSE_SECONDS", 0.001)
    server = raw_server(working_through({"hang_up": True}, {"hang_up": True}, DONE))

    assert call(settled(server)).text == "fine"
    assert methods(server).count("tools/call") == 1


def test_a_server_that_is_gone_leaves_the_tasks_outcome_unknown(raw_server, monkeypatch):
    monkeypatch.setattr(tasks, "PAUSE_SECONDS", 0.001)
    server = raw_server(working_through(*[{"hang_up": True}] * 9))
    error = failure(settled(server))

    assert isinstance(error, ConnectionFailed)
    assert error.may_have_run
    assert methods(server).count("tasks/get") == 4


def test_an_older_server_has_no_tasks(raw_server):
    server = raw_server(handshaking(["s1"]))
    error = failure(legacy(server), task_id="t-1")

    assert isinstance(error, ProtocolError)
    assert error.may_have_run
