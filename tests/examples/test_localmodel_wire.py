import json
import threading
from contextlib import ExitStack
from http.server import ThreadingHTTPServer

import openai
import pytest
import requests

from examples.localmodel.engine import PromptTooLong
from examples.localmodel.service import LocalModel
from examples.localmodel.wire import WireHandler
from tests.examples.chat_requests import ASKED, called, definition, result, schema_of

KEY = "a-key-for-the-model"


class ScriptedEngine:
    """Gives the next of its replies for each run: a text, or an error to raise."""

    context, room = 4096, 3840

    def __init__(self, *replies, finish_reason="stop"):
        self.replies, self.requests, self.finish_reason = list(replies), [], finish_reason

    def run(self, request, on_chunk):
        self.requests.append(request)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        for character in reply:
            on_chunk({"choices": [{"delta": {"content": character}, "finish_reason": None}]})
        on_chunk({"choices": [{"delta": {}, "finish_reason": self.finish_reason}]})
        usage = {"prompt_tokens": 3, "completion_tokens": len(reply), "total_tokens": 9}
        on_chunk({"choices": [], "usage": usage})


@pytest.fixture
def served():
    """Serve a scripted engine: `served(engine)` gives the address."""
    with ExitStack() as running:

        def serve(engine):
            fields = {"model": LocalModel(engine, "scripted"), "api_key": KEY}
            server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (WireHandler,), fields))
            server.daemon_threads = False
            running.callback(server.server_close)
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            running.callback(thread.join)
            running.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}/v1"

        yield serve


@pytest.fixture
def ask(served):
    """Send a request through the openai SDK: `ask(engine, …)` gives the chunks."""
    with ExitStack() as running:

        def send(engine, *messages, **fields):
            client = running.enter_context(
                openai.OpenAI(base_url=served(engine), api_key=KEY, max_retries=0)
            )
            messages = list(messages) or [ASKED]
            return list(
                client.chat.completions.create(
                    model="scripted", messages=messages, stream=True, **fields
                )
            )

        yield send


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def calls_of(chunks):
    found = [call for c in chunks if c.choices for call in c.choices[0].delta.tool_calls or []]
    return [(call.function.name, json.loads(call.function.arguments)) for call in found]


def test_an_answer_streams_through_the_sdk(ask):
    engine = ScriptedEngine('{"answer": "Twelve 😀"}')

    chunks = ask(engine, tools=[definition()], stream_options={"include_usage": True})

    assert text_of(chunks) == "Twelve 😀"
    assert sum(1 for chunk in chunks if chunk.choices and chunk.choices[0].delta.content) > 3
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.prompt_tokens == 3


def test_a_call_reaches_the_sdk_as_a_tool_call(ask):
    engine = ScriptedEngine('{"tool": "stock", "arguments": {"product": "mug"}}')

    chunks = ask(engine, tools=[definition()])

    assert calls_of(chunks) == [("stock", {"product": "mug"})]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    assert text_of(chunks) == ""


def test_a_call_cut_by_the_limit_is_not_made(ask):
    engine = ScriptedEngine('{"tool": "stock", "argum', finish_reason="length")

    chunks = ask(engine, tools=[definition()])

    assert calls_of(chunks) == []
    assert chunks[-1].choices[0].finish_reason == "length"


def test_a_whole_reply_is_given_where_no_stream_is_asked(served):
    engine = ScriptedEngine('{"tool": "stock", "arguments": {"product": "mug"}}')

    with openai.OpenAI(base_url=served(engine), api_key=KEY, max_retries=0) as client:
        reply = client.chat.completions.create(
            model="scripted", messages=[ASKED], tools=[definition()]
        )

    assert reply.choices[0].message.tool_calls[0].function.name == "stock"
    assert reply.choices[0].finish_reason == "tool_calls"


def test_a_model_that_repeats_a_call_has_to_answer(ask):
    again = '{"tool": "stock", "arguments": {"product": "mug"}}'
    engine = ScriptedEngine(again, '{"answer": "12"}')

    chunks = ask(engine, ASKED, called(), result("12"), tools=[definition(), definition("price")])

    assert text_of(chunks) == "12"
    assert calls_of(chunks) == []
    first, second = (schema_of(request)["anyOf"] for request in engine.requests)
    assert len(first) == 3
    assert [list(branch["properties"]) for branch in second] == [["answer"]]


def test_another_call_of_the_same_tool_is_allowed(ask):
    engine = ScriptedEngine('{"tool": "stock", "arguments": {"product": "cup"}}')

    chunks = ask(engine, ASKED, called(), result("12"), tools=[definition()])

    assert calls_of(chunks) == [("stock", {"product": "cup"})]


def test_a_refused_schema_is_replaced_by_any_object(ask, capsys):
    engine = ScriptedEngine(ValueError("failed to parse grammar"), '{"answer": "12"}')

    chunks = ask(engine, tools=[definition()])

    assert text_of(chunks) == "12"
    arguments = schema_of(engine.requests[1])["anyOf"][0]["properties"]["arguments"]
    assert arguments == {"type": "object"}
    assert "held to no schema" in capsys.readouterr().err


def test_a_prompt_too_long_is_cut_and_tried_again(ask, capsys):
    engine = ScriptedEngine(PromptTooLong(9000), '{"answer": "12"}')

    chunks = ask(engine, ASKED, called(), result("12 " * 9000), tools=[definition()])

    first, second = (len(json.dumps(request["messages"])) for request in engine.requests)
    assert second < first
    assert text_of(chunks) == "12"
    assert "9000 tokens" in capsys.readouterr().err


def test_a_prompt_that_cannot_be_cut_is_a_clear_400(ask):
    with pytest.raises(openai.BadRequestError, match="start a new one") as refusal:
        ask(ScriptedEngine(PromptTooLong(9000)))

    assert refusal.value.code == "context_length_exceeded"


def post(address, **options):
    headers = {"Authorization": f"Bearer {KEY}", **options.pop("headers", {})}
    return requests.post(f"{address}/chat/completions", headers=headers, timeout=5, **options)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "JSON object"),
        (b"{}", "messages"),
        (b'{"messages": ["hi"]}', "role"),
        (b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', "text only"),
        (b'{"messages": [{"role": "user", "content": "x"}], "tools": [{}]}', "function"),
        (
            b'{"messages": [{"role": "user"}], "tool_choice": {"function": {"name": "x"}}}',
            "not among",
        ),
    ],
)
def test_a_bad_request_is_an_openai_error(served, body, words):
    answer = post(served(ScriptedEngine()), data=body)

    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": ""}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "https://evil.example"}, 403),
    ],
)
def test_strangers_are_refused(served, headers, status):
    answer = post(served(ScriptedEngine()), headers=headers, json={"messages": [ASKED]})

    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_a_path_that_is_not_there_is_404(served):
    address = served(ScriptedEngine())
    headers = {"Authorization": f"Bearer {KEY}"}

    assert requests.get(f"{address}/nothing", headers=headers, timeout=5).status_code == 404
    assert requests.post(f"{address}/models", headers=headers, timeout=5).status_code == 404
