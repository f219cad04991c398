import os
import socket
import threading
import traceback

import pytest

from automate_llm.cancellation import Cancellation
from automate_llm.exceptions import ModelError, ModelRefused, ModelStreamBroken, ModelUnavailable
from automate_llm.providers import failures
from automate_llm.providers.base import ModelConfig, ModelRequest, TextDelta
from automate_llm.providers.line import Interruption
from automate_llm.providers.openai import OpenAIProvider
from tests.automate_llm.asking import QUESTION, TOOLS, asking
from tests.servers.raw import chunk as http_chunk
from tests.servers.raw import head
from tests.servers.scripted_model import ScriptedModel
from tests.servers.scripted_replies import calls, chunk, event, raw_chunks, silence, status, text

KEY = "sk-very-secret"
STREAM = head(headers={"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})


def failure(ask, tools=b"") -> ModelError:
    with pytest.raises(ModelError) as caught:
        ask.answer(tools)
    return caught.value


def api_error(message, **facts):
    return {"error": {"message": message, **facts}}


@pytest.mark.parametrize(
    ("reply", "kind", "sentence"),
    [
        (status(400, api_error("bad")), ModelRefused, "refused the request (HTTP 400)"),
        (
            status(401, api_error(f"wrong: {KEY}")),
            ModelRefused,
            "accept this site's key (HTTP 401)",
        ),
        (status(403, "<html>"), ModelRefused, "accept this site's key (HTTP 403)"),
        (status(404, "not found"), ModelRefused, "MODEL and BASE_URL"),
        (status(402, api_error("pay")), ModelRefused, "no credit left"),
        (status(429, api_error("x", code="insufficient_quota")), ModelRefused, "no credit left"),
        (status(429, api_error("slow down")), ModelUnavailable, "asked too much"),
        (status(503, "busy"), ModelUnavailable, "failed (HTTP 503)"),
        (status(413, ""), ModelRefused, "too long for the model"),
        (
            status(400, api_error("maximum context length is 4096 tokens")),
            ModelRefused,
            "too long for the model",
        ),
        (
            status(400, api_error("x", code="context_length_exceeded")),
            ModelRefused,
            "too long for the model",
        ),
        (status(200, "<html>", content_type="text/html"), ModelStreamBroken, "a web page"),
        (status(200, {"choices": []}), ModelStreamBroken, "instead of a stream"),
        (raw_chunks([b"data: {broken\n\n"]), ModelStreamBroken, "no answer"),
        (raw_chunks([api_error("no")], done=False), ModelStreamBroken, "stopped with an error"),
        (raw_chunks([], done=False), ModelStreamBroken, "broke off"),
    ],
)
def test_each_failure_has_a_sentence_for_people_and_none_of_the_servers_words(
    reply, kind, sentence
):
    with asking([reply], max_retries=0, api_key=KEY) as ask:
        error = failure(ask)

    assert type(error) is kind
    assert sentence in str(error)
    assert KEY not in "".join(traceback.format_exception(error))


def test_an_address_where_nobody_listens_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    with asking([], base_url=nobody, max_retries=0) as ask:
        error = failure(ask)

    assert isinstance(error, ModelUnavailable)
    assert "cannot be reached" in str(error)
    assert nobody not in "".join(traceback.format_exception(error))


def test_a_stream_that_is_cut_keeps_the_text_that_came():
    with asking([text("One two three").drop_after(3)]) as ask:
        came: list[str] = []

        with pytest.raises(ModelStreamBroken, match="broke off"):
            came.extend(event.text for event in ask.events() if isinstance(event, TextDelta))

        assert "".join(came) == "One two"
        assert len(ask.model.requests) == 1


def test_a_cut_stream_leaves_no_call_behind_and_the_next_answer_works():
    half = calls(("shop_order", {"product": "mug", "count": 1})).drop_after(3)
    with asking([half, text("Fine.")]) as ask:
        assert isinstance(failure(ask, TOOLS), ModelStreamBroken)
        assert ask.answer(TOOLS).text == "Fine."


def test_a_silent_server_is_unavailable_and_not_asked_twice():
    with asking([silence(threading.Event()), text("Late")], timeout=0.1) as ask:
        error = failure(ask)

        assert isinstance(error, ModelUnavailable)
        assert "said nothing for 0.1 seconds" in str(error)
        assert len(ask.model.requests) == 1


def test_a_stream_that_falls_silent_before_its_first_word_is_unavailable():
    with asking([text("Hi").paced(threading.Semaphore(0))], timeout=0.1) as ask:
        assert isinstance(failure(ask), ModelUnavailable)


def test_a_stream_that_falls_silent_later_is_broken():
    with asking([text("Hi").paced(threading.Semaphore(2))], timeout=0.1) as ask:
        assert isinstance(failure(ask), ModelStreamBroken)


@pytest.mark.parametrize(
    "refusal",
    [
        status(429, retry_after="0"),
        status(503, retry_after_ms="1"),
        status(400, x_should_retry="true", retry_after="0"),
    ],
)
def test_a_busy_server_is_asked_again(refusal):
    with asking([refusal, refusal, text("Now.")]) as ask:
        assert ask.answer().text == "Now."


def test_a_connection_lost_before_the_answer_is_made_again(monkeypatch):
    monkeypatch.setattr(failures.random, "uniform", lambda low, high: 0.0)
    lost = text("").drop_after(0)
    with asking([lost, text("Now.")]) as ask:
        assert ask.answer().text == "Now."


def test_retries_end_after_max_retries():
    with asking(status(503, retry_after="0"), max_retries=2) as ask:
        assert isinstance(failure(ask), ModelUnavailable)
        assert len(ask.model.requests) == 3


@pytest.mark.parametrize(
    "refusal",
    [
        status(503, x_should_retry="false"),
        status(503, retry_after="60"),
        status(400),
        status(429, api_error("x", code="insufficient_quota")),
    ],
)
def test_what_cannot_help_is_not_tried_again(refusal):
    with asking([refusal, text("Too much.")]) as ask:
        failure(ask)

        assert len(ask.model.requests) == 1


def test_tools_are_left_out_once_and_not_for_another_reason():
    refusal = status(400, api_error("Invalid schema for function 'shop_search'"))
    with asking([refusal, text("Too much.")]) as ask:
        assert isinstance(failure(ask, TOOLS), ModelRefused)
        assert len(ask.model.requests) == 1


def test_a_refusal_without_tools_is_the_end():
    with asking(status(400, api_error("this model does not support tools"))) as ask:
        assert isinstance(failure(ask, TOOLS), ModelRefused)
        assert len(ask.model.requests) == 2


def test_an_endless_error_is_not_read_to_its_end():
    with asking([status(400, "x" * 20_000_000)]) as ask:
        assert isinstance(failure(ask), ModelRefused)
        assert ask.model.hung_up.wait(5)


def test_the_key_goes_to_the_server_and_shows_nowhere():
    with asking([text("Hi")], api_key=KEY) as ask:
        ask.answer()

        assert ask.model.requests[0].headers["authorization"] == f"Bearer {KEY}"
        assert KEY not in repr(ask.provider)


def test_the_key_does_not_follow_a_redirect():
    with ScriptedModel(text("Thanks")) as thief:
        away = status(307, location=f"{thief.base_url}/chat/completions")
        with asking([away], api_key=KEY) as ask:
            error = failure(ask)

        assert isinstance(error, ModelRefused)
        assert "HTTP 307" in str(error)
        assert thief.requests == []


def test_nothing_of_the_environment_is_sent_or_asked(monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password netrc-secret")
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    monkeypatch.setenv("NETRC", os.fspath(tmp_path / ".netrc"))
    monkeypatch.setenv("OPENAI_API_KEY", "another-key")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "another-key")
    monkeypatch.setenv("OPENAI_ORG_ID", "another-account")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "another-project")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer another-key")
    with ScriptedModel(text("Thanks")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url)
        monkeypatch.setenv("ALL_PROXY", proxy.base_url)
        monkeypatch.setenv("OPENAI_BASE_URL", proxy.base_url)
        with asking([text("Hi")], api_key="") as ask:
            ask.answer()

        sent = ask.model.requests[0].headers
        assert proxy.requests == []
        assert "authorization" not in sent
        assert not {"openai-organization", "openai-project"} & set(sent)


@pytest.mark.parametrize("base_url", ["", "https://api.openai.com/v1"])
def test_openai_without_a_key_says_what_to_set(base_url):
    with asking([], base_url=base_url, api_key="") as ask:
        error = failure(ask)

    assert isinstance(error, ModelRefused)
    assert "OPENAI_API_KEY" in str(error)


@pytest.mark.parametrize(
    "base_url",
    ["localhost:8000/v1", "ftp://host/v1", "http://", "http://[::1/v1", "http://u:p@host/v1"],
)
def test_an_address_that_cannot_work_says_what_to_set(base_url):
    with asking([], base_url=base_url) as ask:
        error = failure(ask)

    assert isinstance(error, ModelRefused)
    assert "BASE_URL" in str(error)


@pytest.mark.parametrize("key", [f"{KEY}\r\nX-Evil: 1", f"{KEY}\n", f"{KEY}é", f"{KEY} "])
def test_a_key_that_cannot_be_a_header_is_refused_without_being_quoted(key):
    with asking([text("Hi")], api_key=key) as ask:
        error = failure(ask)

        assert isinstance(error, ModelRefused)
        assert KEY not in str(error)
        assert ask.model.requests == []


def test_an_interruption_that_is_over_touches_no_socket():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        interruption = Interruption()
        interruption.watch(ours)
        interruption.watch(None)
        interruption.fire()
        ours.sendall(b"alive")

        assert theirs.recv(5) == b"alive"


def test_a_socket_that_connects_after_the_interruption_is_shut():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        interruption = Interruption()
        interruption.fire()
        interruption.watch(ours)

        assert theirs.recv(5) == b""


def test_a_failure_after_a_good_answer_reads_as_one_before_it():
    replies = [status(401, "no"), text("Seven."), status(401, "no")]
    with asking(replies) as ask:
        with pytest.raises(ModelRefused) as first:
            ask.answer()
        assert ask.answer().text == "Seven."
        with pytest.raises(ModelRefused) as later:
            ask.answer()

    assert str(later.value) == str(first.value)


@pytest.mark.parametrize("is_first", [True, False], ids=["first request", "a later one"])
def test_a_server_that_refuses_before_it_has_read_all_is_heard(raw_server, is_first):
    def script(connection):
        if not is_first and connection.number == 0:
            connection.read_request()
            connection.send(STREAM + http_chunk(event(chunk({"content": "Hi"}, "stop"))))
            connection.send(http_chunk(event("[DONE]")) + http_chunk(b""))
            return
        connection.send(head("413 Content Too Large", {"Content-Length": "0"}))

    long = [{"role": "user", "content": "x" * 8_000_000}]
    config = ModelConfig("m", f"{raw_server(script).url}/v1", KEY, max_retries=0)
    provider = OpenAIProvider(config)
    try:
        if not is_first:
            provider.answer(ModelRequest(QUESTION), Cancellation(), lambda text: None)
        with pytest.raises(ModelRefused, match="too long for the model"):
            provider.answer(ModelRequest(long), Cancellation(), lambda text: None)
    finally:
        provider.close()


@pytest.mark.parametrize("answers", [0, 1], ids=["first request", "a later one"])
def test_no_variable_of_a_frame_shows_the_key(answers):
    """Sentry, and Django's page of an error, show what stands in them."""
    hangs_up = threading.Event()
    hangs_up.set()
    with asking(text("Hi"), api_key=KEY, max_retries=0) as ask:
        for _ in range(answers):
            ask.answer()
        ask.model.say(silence(hangs_up))
        error = failure(ask)
    seen = set()
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if "automate_llm" in (name := frame.f_code.co_filename) and "tests" not in name:
                seen.add(os.path.basename(name))
                assert KEY not in repr(frame.f_locals)
        error = error.__context__
    assert {"line.py", "connection.py"} <= seen
