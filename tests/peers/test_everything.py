"""The TypeScript reference server, over each of its three transports."""

import base64
from collections.abc import Callable

import pytest

from automate_llm.exceptions import ToolFailed
from automate_llm.mcp_client import MCPClient
from automate_llm.values import Discovery, Progress

from .peers import EVERYTHING, Peer

Clients = Callable[[Peer], MCPClient]

every_transport = pytest.mark.parametrize("peer", EVERYTHING, ids=str)


@every_transport
def test_its_version_is_settled_and_its_tools_are_found(
    peer: Peer, found: Callable[[Peer], Discovery]
) -> None:
    about = found(peer)
    tools = {tool.name: tool for tool in about.tools}

    assert about.protocol == ("sse" if peer.transport == "sse" else "mcp")
    assert (about.protocol_version, about.server_name) == (peer.version, "mcp-servers/everything")
    assert about.instructions.startswith("# Everything Server")
    assert {"echo", "get-sum", "get-structured-content", "get-tiny-image"} < set(tools)
    assert about.skipped == ()
    assert tools["get-sum"].input_schema["required"] == ["a", "b"]
    assert tools["get-sum"].title == "Get Sum Tool"
    assert tools["get-sum"].annotations["readOnlyHint"] is True


@every_transport
def test_a_call_carries_its_arguments_and_gives_text(peer: Peer, client: Clients) -> None:
    assert client(peer).execute_tool("get-sum", {"a": 2, "b": 3}) == "The sum of 2 and 3 is 5."
    assert client(peer).execute_tool("echo", {"message": "größer ✓"}) == "Echo: größer ✓"


@every_transport
def test_a_structured_result_is_a_plain_value(
    peer: Peer, client: Clients, found: Callable[[Peer], Discovery]
) -> None:
    weather = client(peer).execute_tool("get-structured-content", {"location": "Chicago"})

    schema = next(
        tool.output_schema for tool in found(peer).tools if tool.name == "get-structured-content"
    )
    assert schema is not None
    assert set(weather) == set(schema["required"]) == {"temperature", "conditions", "humidity"}


@every_transport
def test_arguments_that_do_not_fit_and_unknown_tools_are_errors(
    peer: Peer, client: Clients
) -> None:
    assert client(peer).call("get-sum", {"a": "two", "b": 3}).is_error
    with pytest.raises(ToolFailed, match="not found"):
        client(peer).execute_tool("no-such-tool", {})


@every_transport
def test_progress_is_heard_in_order(peer: Peer, client: Clients) -> None:
    heard: list[Progress] = []

    client(peer).call(
        "trigger-long-running-operation", {"duration": 0.2, "steps": 4}, on_progress=heard.append
    )

    assert [(each.progress, each.total) for each in heard] == [(1, 4), (2, 4), (3, 4), (4, 4)]


@every_transport
def test_a_picture_comes_between_its_words(peer: Peer, client: Clients) -> None:
    before, image, after = client(peer).call("get-tiny-image", {}).content

    assert (before["type"], after["type"]) == ("text", "text")
    assert (image["type"], image["mimeType"]) == ("image", "image/png")
    assert base64.b64decode(image["data"]).startswith(b"\x89PNG")


@every_transport
def test_resources_come_as_links_and_embedded(peer: Peer, client: Clients) -> None:
    _, *links = client(peer).call("get-resource-links", {"count": 2}).content
    _, embedded, _ = (
        client(peer)
        .call("get-resource-reference", {"resourceType": "Text", "resourceId": 1})
        .content
    )

    assert [link["type"] for link in links] == ["resource_link", "resource_link"]
    assert all(link["uri"].startswith("demo://resource/dynamic/") for link in links)
    assert embedded["resource"]["text"].startswith("Resource 1:")


@every_transport
def test_a_file_comes_as_an_embedded_resource(peer: Peer, client: Clients) -> None:
    arguments = {"name": "a.gz", "data": "data:text/plain,hello", "outputType": "resource"}
    (file,) = client(peer).call("gzip-file-as-resource", arguments).content

    assert file["resource"]["mimeType"] == "application/gzip"
    assert base64.b64decode(file["resource"]["blob"]).startswith(b"\x1f\x8b")
