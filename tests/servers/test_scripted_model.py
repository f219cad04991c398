import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

from automate_llm.cancellation import Cancellation
from automate_llm.providers.base import ModelConfig, ModelRequest
from automate_llm.providers.openai import OpenAIProvider
from tests.automate_llm.asking import TOOLS, asking
from tests.servers.scripted_model import ScriptedModel
from tests.servers.scripted_replies import silence, three_calls
from tests.servers.threads import threads_begun


def turn(provider: OpenAIProvider, tools: bytes) -> tuple[list[str], str]:
    """Play a whole turn: the arguments of each call, and the last text."""
    messages = [{"role": "user", "content": "How many?"}]
    arguments = []
    while True:
        *_, answer = provider.stream(ModelRequest(messages, tools), Cancellation())
        if not answer.calls:
            return arguments, answer.text
        for call in answer.calls:
            arguments.append(call.arguments)
            function = {"name": call.name, "arguments": call.arguments}
            asked = [{"id": call.id, "type": "function", "function": function}]
            messages.append({"role": "assistant", "content": None, "tool_calls": asked})
            messages.append({"role": "tool", "tool_call_id": call.id, "content": "7"})


def test_three_calls_are_followed_by_a_text_in_every_turn():
    with asking(three_calls({"query": "mug"}, tokens=3)) as ask:
        first, again = turn(ask.provider, TOOLS), turn(ask.provider, TOOLS)

    assert first == again == (['{"query": "mug"}'] * 3, "seven blue mugs")


def test_a_child_process_says_where_it_listens_and_ends_when_told_to():
    command = [sys.executable, "-m", "tests.servers.scripted_model", "--script", "three_calls"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            ready, base_url = child.stdout.readline().split()
            provider = OpenAIProvider(ModelConfig("scripted", base_url))
            calls, answer = turn(provider, TOOLS)
            provider.close()
        finally:
            child.terminate()

    assert ready == "READY"
    assert (calls, len(answer.split())) == (["{}"] * 3, 30)
    assert child.returncode == 0


def test_stopping_ends_every_thread_even_in_the_middle_of_a_reply():
    with threads_begun() as left:
        model = ScriptedModel([silence(threading.Event())]).start()
        with socket.create_connection(urlsplit(model.base_url).netloc.split(":")) as client:
            client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}")
            assert model.arrived.acquire(timeout=5)
            model.stop()

            assert client.recv(1) == b""
            assert not left()
