"""What servers can do beside answering a call, with those that do it."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from automate_llm.cancellation import Cancellation
from automate_llm.exceptions import (
    CallCancelled,
    InputRequired,
    MCPClientError,
    RPCError,
    ToolFailed,
)
from automate_llm.mcp_client import MCPClient
from automate_llm.values import Discovery, InputAnswer

from .conftest import Reach
from .peers import ALL, EVERYTHING, TASKS, TOOLBOXES, Peer

Clients = Callable[[Peer], MCPClient]
Found = Callable[[Peer], Discovery]

BLUE = InputAnswer("accept", {"colour": "blue"})


def peers(*names: str) -> pytest.MarkDecorator:
    """Run a test with the peers of these names, or whose names begin so, with `*`."""
    chosen = [
        peer
        for peer in ALL
        if any(
            peer.name == name or (name.endswith("*") and peer.name.startswith(name[:-1]))
            for name in names
        )
    ]
    return pytest.mark.parametrize("peer", chosen, ids=str)


@peers("sdk-2.3-http*", "sdk-2.3-stdio")
def test_a_question_is_raised_and_its_answer_goes_back(peer: Peer, client: Clients) -> None:
    with pytest.raises(InputRequired) as asked:
        client(peer).call("order", {}, asks=True)

    [(key, question)] = asked.value.requests.items()
    assert question.message == "Which colour?"
    result = client(peer).call(
        "order", {}, input_responses={key: BLUE}, request_state=asked.value.request_state
    )
    assert result.text == "A blue mug."


@peers("sdk-2.3-sse", "sdk-1.30-http", "sdk-1.30-sse", "sdk-1.10-http", "sdk-1.10-sse")
def test_a_question_of_an_older_server_is_answered_at_once(peer: Peer, client: Clients) -> None:
    questions: list[str] = []

    def answer(question: Any) -> InputAnswer:
        questions.append(question.message)
        return BLUE

    assert client(peer).call("order", {}, on_question=answer).text == "A blue mug."
    assert questions == ["Which colour?"]


@peers("sdk-1.30-http", "sdk-1.30-sse", "sdk-1.10-http", "sdk-1.10-sse")
def test_a_question_may_be_declined(peer: Peer, client: Clients) -> None:
    result = client(peer).call("order", {}, on_question=lambda question: InputAnswer("decline"))

    assert result.text == "decline"


@peers("sdk-1.30-stdio", "sdk-1.10-stdio")
def test_a_question_is_declined_where_all_share_one_process(peer: Peer, client: Clients) -> None:
    assert client(peer).call("order", {}, on_question=lambda question: BLUE).text == "decline"


@peers(
    "sdk-1.30-http",
    "sdk-1.30-sse",
    "sdk-1.30-stdio",
    "sdk-1.10-http",
    "sdk-1.10-sse",
    "sdk-1.10-stdio",
    "sdk-1.9-http",
    "sdk-1.9-stdio",
    "sdk-1.6-sse",
    "sdk-1.6-stdio",
)
def test_what_is_deprecated_is_declined_and_the_call_goes_on(peer: Peer, client: Clients) -> None:
    assert client(peer).call("pry", {}).text == "-32601 -32601"


@pytest.mark.parametrize("tool", ["sample", "roots"])
@peers("sdk-2.3-http*", "sdk-2.3-stdio")
def test_what_is_deprecated_is_not_offered_so_that_nothing_runs(
    peer: Peer, tool: str, client: Clients
) -> None:
    with pytest.raises(RPCError) as refused:
        client(peer).call(tool, {}, asks=True)

    assert refused.value.code == -32021
    assert not refused.value.may_have_run


@peers("everything-http", "everything-sse")
def test_the_reference_server_asks_a_person(peer: Peer, client: Clients) -> None:
    asked: list[Any] = []

    def answer(question: Any) -> InputAnswer:
        asked.append(question)
        return InputAnswer("accept", {"name": "Ann"})

    result = client(peer).call("trigger-elicitation-request", {}, on_question=answer)

    assert "Ann" in result.text
    assert len(asked) == 1


@peers("sdk-2.3-http*")
def test_an_argument_is_mirrored_in_a_header(peer: Peer, client: Clients, found: Found) -> None:
    schema = next(tool.input_schema for tool in found(peer).tools if tool.name == "ship")

    for region in ("eu-west", "Zürich", " padded "):
        result = client(peer).call("ship", {"region": region}, input_schema=schema)
        assert result.text == f"Shipped to {region}."
    with pytest.raises(MCPClientError):
        client(peer).call("ship", {"region": "eu-west"})


@peers("sdk-2.3-http*", "sdk-2.3-stdio")
def test_a_list_says_how_long_it_is_fresh(peer: Peer, found: Found) -> None:
    assert (found(peer).ttl, found(peer).private) == (60.0, False)


@peers(
    "sdk-2.3-http",
    "sdk-2.3-http-stateless",
    "sdk-2.3-stdio",
    "sdk-1.30-http",
    "sdk-1.30-sse",
    "sdk-1.30-stdio",
    "sdk-1.10-http",
    "sdk-1.10-sse",
    "sdk-1.10-stdio",
    "sdk-1.9-http",
    "sdk-1.9-stdio",
    "sdk-1.6-sse",
    "sdk-1.6-stdio",
)
def test_a_change_of_the_tools_is_heard(peer: Peer, client: Clients) -> None:
    asking, changed, stop = client(peer), threading.Event(), Cancellation()
    heard: list[str] = []

    def note(kind: str) -> None:
        heard.append(kind)
        changed.set()

    listening = threading.Thread(target=asking.listen, args=(note, stop))
    listening.start()
    try:
        end = time.monotonic() + 10
        while not changed.wait(0.05):  # until the stream is open nobody hears it
            asking.call("restock", {})
            assert time.monotonic() < end
    finally:
        stop.cancel()
        listening.join()

    assert heard[0] == "tools"


@peers("sdk-1.30-http", "sdk-1.10-http", "sdk-1.9-http")
def test_a_session_that_was_ended_is_opened_anew(peer: Peer, client: Clients) -> None:
    asking = client(peer)
    before = asking.call("shout", {"text": "before"}).text
    asking.close()

    assert (before, asking.call("shout", {"text": "after"}).text) == ("BEFORE", "AFTER")


@peers("sdk-2.3-http")
def test_a_stream_that_the_server_closed_is_taken_up_again(peer: Peer, reach: Reach) -> None:
    older = replace(reach(peer), slug="resuming", protocol="mcp", protocol_version="2025-11-25")

    asking = MCPClient(older)

    answer = asking.call("hang_up", {}, on_progress=lambda _: asking.call("see", {}))

    assert answer.text == "still here"


@pytest.mark.parametrize("peer", TASKS, ids=str)
def test_a_call_that_becomes_a_task_is_awaited(peer: Peer, client: Clients) -> None:
    assert client(peer).call("brew", {"cups": 2}).text == "2 cups"
    with pytest.raises(ToolFailed, match="all over the floor"):
        client(peer).execute_tool("spill", {})


# Left out are servers that cannot know: a single JSON document, no session, or a release that
# ends when it is told.
@peers(
    "sdk-2.3-http",
    "sdk-2.3-http-stateless",
    "sdk-2.3-sse",
    "sdk-2.3-stdio",
    "fastmcp-http",
    "fastmcp-sse",
    "fastmcp-stdio",
    "sdk-1.30-http",
    "sdk-1.30-http-json",
    "sdk-1.30-sse",
    "sdk-1.30-stdio",
    "sdk-1.10-http",
    "sdk-1.9-http",
    "sdk-1.6-sse",
)
def test_a_call_that_is_stopped_stops_at_the_server(peer: Peer, client: Clients) -> None:
    asking, stop = client(peer), Cancellation()
    failures: list[Exception] = []
    said = ""

    def call() -> None:
        try:
            asking.call("hang", {}, cancellation=stop)
        except CallCancelled as exc:
            failures.append(exc)

    def until(word: str) -> None:
        nonlocal said
        end = time.monotonic() + 5
        while word not in said:
            assert time.monotonic() < end, said
            said += asking.call("hung", {}).text

    calling = threading.Thread(target=call)
    calling.start()
    try:
        until("begun")
    finally:
        stop.cancel()
        calling.join()
    until("stopped")

    assert len(failures) == 1


@pytest.mark.parametrize("peer", TOOLBOXES, ids=str)
def test_resources_and_prompts_are_listed_and_read(peer: Peer, client: Clients) -> None:
    offered = client(peer).discover_offerings()
    (block,) = client(peer).read_resource("memo://welcome")
    prompt = client(peer).get_prompt("greet", {"name": "Ann"})

    assert [each.uri for each in offered.resources] == ["memo://welcome"]
    assert [(each.name, each.arguments[0].name) for each in offered.prompts] == [("greet", "name")]
    assert block["resource"]["text"] == "Welcome to the shop."
    assert [message.content["text"] for message in prompt.messages] == ["Say hello to Ann."]


@pytest.mark.parametrize("peer", EVERYTHING, ids=str)
def test_the_reference_servers_resources_and_prompts_are_read(peer: Peer, client: Clients) -> None:
    offered = client(peer).discover_offerings()
    (text,) = client(peer).read_resource("demo://resource/dynamic/text/1")
    (blob,) = client(peer).read_resource("demo://resource/dynamic/blob/2")
    prompt = client(peer).get_prompt("args-prompt", {"city": "Leeds"})

    assert any(each.is_template for each in offered.resources)
    assert {"simple-prompt", "args-prompt"} <= {each.name for each in offered.prompts}
    assert text["resource"]["text"].startswith("Resource 1")
    assert blob["resource"]["blob"]
    assert "Leeds" in str(prompt.messages[0].content)
