"""The same tools on every SDK, transport and mode give the same results."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from automate_llm.exceptions import InvalidArguments, ToolFailed
from automate_llm.mcp_client import MCPClient
from automate_llm.validation import validate_arguments
from automate_llm.values import Discovery, Progress

from .conftest import Reach
from .peers import TOOLBOXES, Peer

Clients = Callable[[Peer], MCPClient]

every_toolbox = pytest.mark.parametrize("peer", TOOLBOXES, ids=str)


@every_toolbox
def test_its_version_is_settled_and_its_tools_are_found(
    peer: Peer, found: Callable[[Peer], Discovery]
) -> None:
    about = found(peer)

    assert about.protocol == ("sse" if peer.transport == "sse" else "mcp")
    assert (about.protocol_version, about.server_name) == (peer.version, "Toolbox")
    assert about.instructions == "Ask it for sums."
    assert {"add", "shout", "fail", "picture", "card", "work"} < {tool.name for tool in about.tools}
    assert about.skipped == ()
    assert set(about.tools[0].input_schema["properties"]) == {"a", "b"}
    assert about.tools[0].description == "Add two numbers."


@every_toolbox
def test_a_call_carries_its_arguments_and_gives_text(peer: Peer, client: Clients) -> None:
    assert client(peer).call("shout", {"text": "größer"}).text == "GRÖSSER"


@pytest.mark.parametrize("peer", [peer for peer in TOOLBOXES if peer.structured], ids=str)
def test_a_structured_result_is_a_plain_value(
    peer: Peer, client: Clients, found: Callable[[Peer], Discovery]
) -> None:
    assert client(peer).execute_tool("add", {"a": 2, "b": 3}) == {"result": 5}

    schema = found(peer).tools[0].output_schema
    assert schema is not None
    assert schema["properties"]["result"]["type"] == "integer"


@every_toolbox
def test_a_failure_of_the_tool_is_a_result_and_an_error(peer: Peer, client: Clients) -> None:
    result = client(peer).call("fail", {"reason": "out of paint"})

    assert result.is_error
    assert "out of paint" in result.text
    with pytest.raises(ToolFailed, match="out of paint"):
        client(peer).execute_tool("fail", {"reason": "out of paint"})


@every_toolbox
def test_arguments_that_do_not_fit_are_an_error_that_ran_nothing(
    peer: Peer, client: Clients
) -> None:
    assert client(peer).call("add", {"a": "two", "b": 3}).is_error


# FastMCP writes what is referred to in its place.
@pytest.mark.parametrize(
    "peer", [peer for peer in TOOLBOXES if not peer.name.startswith("fastmcp")], ids=str
)
def test_a_schema_that_refers_inside_itself_is_kept_whole(
    peer: Peer, client: Clients, found: Callable[[Peer], Discovery]
) -> None:
    [schema] = [tool.input_schema for tool in found(peer).tools if tool.name == "wrap"]
    parcel = {"parcel": {"size": {"word": "huge"}}}

    assert schema["properties"]["parcel"]["$ref"] == "#/$defs/Parcel"
    assert schema["$defs"]["Parcel"]["properties"]["size"]["$ref"] == "#/$defs/Size"
    validate_arguments(schema, parcel)
    with pytest.raises(InvalidArguments, match="word"):
        validate_arguments(schema, {"parcel": {"size": {}}})
    assert client(peer).call("wrap", parcel).text == "huge"


@every_toolbox
def test_a_picture_comes_as_an_image(peer: Peer, client: Clients) -> None:
    (image,) = client(peer).call("picture", {}).content

    assert (image["type"], image["mimeType"]) == ("image", "image/png")


@every_toolbox
def test_a_resource_comes_embedded(peer: Peer, client: Clients) -> None:
    (card,) = client(peer).call("card", {}).content

    assert (card["type"], card["resource"]["text"]) == ("resource", "Nine to five.")


@pytest.mark.parametrize("peer", [peer for peer in TOOLBOXES if peer.progress], ids=str)
def test_progress_is_heard_in_order(peer: Peer, client: Clients) -> None:
    heard: list[Progress] = []

    result = client(peer).call("work", {}, on_progress=heard.append)

    assert result.text == "done"
    assert [(each.progress, each.total) for each in heard] == [(1, 2), (2, 2)]


@every_toolbox
def test_threads_that_call_at_once_get_their_own_answers(peer: Peer, client: Clients) -> None:
    calling = client(peer)
    words = [f"word {number}" for number in range(24)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda word: calling.call("shout", {"text": word}).text, words))

    assert answers == [word.upper() for word in words]


@pytest.mark.parametrize(
    "peer", [peer for peer in TOOLBOXES if peer.name.startswith("sdk-2.3-http")], ids=str
)
def test_a_server_of_both_eras_is_spoken_to_in_the_one_that_was_stored(
    peer: Peer, reach: Reach
) -> None:
    older = replace(reach(peer), slug="older", protocol="mcp", protocol_version="2025-11-25")

    assert MCPClient(older).call("shout", {"text": "still here"}).text == "STILL HERE"
