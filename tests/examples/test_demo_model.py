"""The demo model's wire, as the official client and a plain socket see it."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from examples.demo_model import MODEL, DemoModelServer

from .demo_model_tools import TOOLS

ROOT = Path(__file__).parents[2]
WEATHER = [{"role": "user", "content": "What's the weather in Rome and Madrid?"}]
HELLO = [{"role": "user", "content": "What can you do?"}]


@contextmanager
def serving(**options: Any) -> Iterator[DemoModelServer]:
    with DemoModelServer(**options) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[DemoModelServer]:
    with serving(words_per_second=0) as running:
        yield running


@pytest.fixture
def client(server: DemoModelServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as openai_client:
        yield openai_client


@pytest.fixture
def ask(server: DemoModelServer) -> Iterator[Callable[..., tuple[HTTPResponse, Any]]]:
    """Sends a request as it stands over one connection, and reads the JSON of the answer."""
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)

    def send(method: str, path: str, body: Any = None, **headers: str) -> tuple[HTTPResponse, Any]:
        payload = json.dumps(body) if isinstance(body, dict | list) else body
        connection.request(method, path, payload, headers)
        response = connection.getresponse()
        return response, json.loads(response.read())

    yield send
    connection.close()


def test_the_client_gets_every_call_whole(client):
    answer = client.chat.completions.create(model=MODEL, messages=WEATHER, tools=TOOLS)

    calls = answer.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == [
        {"city": "Rome"},
        {"city": "Madrid"},
    ]
    assert {call.function.name for call in calls} == {"get_current_weather"}
    assert len({call.id for call in calls}) == 2
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.usage.total_tokens > 0


def test_a_stream_carries_the_calls_in_fragments_under_their_index(client):
    collected: dict[int, dict[str, str]] = {}
    reasons = []

    with client.chat.completions.create(
        model=MODEL, messages=WEATHER, tools=TOOLS, stream=True
    ) as stream:
        for chunk in stream:
            reasons.append(chunk.choices[0].finish_reason)
            for delta in chunk.choices[0].delta.tool_calls or []:
                call = collected.setdefault(delta.index, {"id": "", "name": "", "arguments": ""})
                call["id"] += delta.id or ""
                call["name"] += delta.function.name or ""
                call["arguments"] += delta.function.arguments or ""

    assert [json.loads(collected[index]["arguments"]) for index in (0, 1)] == [
        {"city": "Rome"},
        {"city": "Madrid"},
    ]
    assert [collected[index]["name"] for index in (0, 1)] == ["get_current_weather"] * 2
    assert all(call["id"].startswith("call_") for call in collected.values())
    assert reasons[-1] == "tool_calls"
    assert set(reasons[:-1]) == {None}


def test_long_arguments_come_in_more_than_one_fragment(client):
    text = "word " * 40
    messages = [{"role": "user", "content": f'Write "{text.strip()}" to notes.txt'}]

    with client.chat.completions.create(
        model=MODEL, messages=messages, tools=TOOLS, stream=True
    ) as stream:
        deltas = [delta for chunk in stream for delta in chunk.choices[0].delta.tool_calls or []]

    assert len(deltas) > 3
    assert json.loads("".join(delta.function.arguments for delta in deltas)) == {
        "path": "notes.txt",
        "content": text.strip(),
    }


def test_text_is_streamed_a_few_words_at_a_time_and_is_the_same_as_whole(client):
    whole = client.chat.completions.create(model=MODEL, messages=HELLO, tools=TOOLS)
    with client.chat.completions.create(
        model=MODEL, messages=HELLO, tools=TOOLS, stream=True
    ) as stream:
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream]

    assert "".join(pieces) == whole.choices[0].message.content
    assert len([piece for piece in pieces if piece]) > 20
    assert whole.choices[0].finish_reason == "stop"


def test_usage_comes_in_a_last_chunk_without_choices_where_it_was_asked_for(client):
    with client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)

    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_a_stream_ends_with_done_and_leaves_the_connection_open(server):
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    body = json.dumps({"messages": HELLO, "stream": True})
    try:
        for _ in range(2):
            connection.request("POST", "/v1/chat/completions", body)
            first_socket = connection.sock
            response = connection.getresponse()
            text = response.read().decode()

            assert response.headers["Content-Type"] == "text/event-stream"
            assert text.endswith("data: [DONE]\n\n")
            assert connection.sock is first_socket
    finally:
        connection.close()


def test_no_tool_is_called_where_the_request_forbids_it(client):
    answer = client.chat.completions.create(
        model=MODEL, messages=WEATHER, tools=TOOLS, tool_choice="none"
    )

    assert answer.choices[0].message.tool_calls is None


def test_a_tool_that_the_request_names_is_the_one_that_is_called(client):
    answer = client.chat.completions.create(
        model=MODEL,
        messages=WEATHER,
        tools=TOOLS,
        tool_choice={"type": "function", "function": {"name": "get_forecast"}},
    )

    assert {c.function.name for c in answer.choices[0].message.tool_calls} == {"get_forecast"}


def test_one_call_at_a_time_where_the_request_asks_for_that(client):
    answer = client.chat.completions.create(
        model=MODEL, messages=WEATHER, tools=TOOLS, parallel_tool_calls=False
    )

    assert len(answer.choices[0].message.tool_calls) == 1


def test_the_client_can_list_the_model(client):
    assert [model.id for model in client.models.list()] == [MODEL]


def test_without_the_key_the_client_is_refused():
    with serving(api_key="right") as server:
        for key, allowed in (("wrong", False), ("right", True)):
            with OpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:
                if allowed:
                    assert client.models.list().data
                else:
                    with pytest.raises(openai.AuthenticationError, match="missing or wrong"):
                        client.models.list()


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("{no json", "JSON"),
        ("[" * 100_000, "JSON"),
        ([], "object"),
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["hi"]}, "role"),
        ({"messages": HELLO, "tools": "all"}, "tools"),
    ],
)
def test_a_broken_request_gets_a_400_that_says_why_and_the_next_one_works(ask, body, word):
    response, answer = ask("POST", "/v1/chat/completions", body)
    following, _ = ask("GET", "/v1/models")

    assert response.status == 400
    assert word in answer["error"]["message"]
    assert answer["error"]["type"] == "invalid_request_error"
    assert following.status == 200


def test_an_unknown_path_is_a_404(ask):
    response, answer = ask("POST", "/v1/completions", {"prompt": "hi"})

    assert response.status == 404
    assert "/v1/completions" in answer["error"]["message"]


def test_a_body_over_the_limit_is_refused_before_it_is_read(ask):
    response, answer = ask("GET", "/v1/models", None, **{"Content-Length": str(10**9)})

    assert response.status == 413
    assert "bytes" in answer["error"]["message"]


def test_a_body_of_unknown_length_is_refused(server):
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.putrequest("POST", "/v1/chat/completions")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()

        assert connection.getresponse().status == 411
    finally:
        connection.close()


@pytest.mark.parametrize("header", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_a_page_of_another_host_gets_nothing(ask, header):
    response, _ = ask("GET", "/v1/models", None, **header)

    assert response.status == 403


def test_a_slow_stream_ends_at_once_when_the_server_stops():
    with serving(words_per_second=0.001) as server:
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        body = json.dumps({"messages": HELLO, "stream": True})
        connection.request("POST", "/v1/chat/completions", body)
        response = connection.getresponse()
        begun = response.readline()

    try:
        assert begun.startswith(b"data: ")
        assert b"[DONE]" not in b"".join(iter(response.readline, b""))
    finally:
        connection.close()


@pytest.mark.parametrize("way", [["examples/demo_model.py"], ["-m", "examples.demo_model"]])
def test_the_program_says_where_it_listens_and_ends_with_its_parent(way):
    command = [sys.executable, *way, "--port", "0", "--exit-with-parent", "--api-key", "k"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        line = process.stdout.readline()
        with OpenAI(base_url=line.split()[1], api_key="k", max_retries=0) as client:
            models = client.models.list().data
        process.stdin.close()

        assert line.startswith("READY http://127.0.0.1:")
        assert [model.id for model in models] == [MODEL]
        assert process.wait(timeout=10) == 0
