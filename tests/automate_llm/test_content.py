"""Content blocks: what a client takes of them, and what it makes of the rest."""

import base64
import hashlib
from dataclasses import asdict

import pytest
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from automate_llm.content import (
    MAX_BLOCKS,
    MAX_FILE_BYTES,
    OCTETS,
    checked_block,
    checked_blocks,
    file_type,
    plain_uri,
    without_files,
)
from automate_llm.exceptions import LimitExceeded
from automate_llm.mcp_client import MCPClient
from automate_llm.validation import validate_output
from automate_llm.values import ToolResult
from tests.servers.mcp_sdk import Offer

from .calling import SECRET, call, failure, settled

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 10
WAV = b"RIFF\x00\x00\x00\x00WAVEfmt "


def encoded(data):
    return base64.b64encode(data).decode()


def image(data=PNG, media_type="image/png", **parts):
    return {"type": "image", "data": encoded(data), "mimeType": media_type, **parts}


def every_kind(arguments):
    return CallToolResult(
        content=[
            TextContent(type="text", text="hello"),
            ImageContent(type="image", data=encoded(PNG), mime_type="image/png"),
            AudioContent(type="audio", data=encoded(WAV), mime_type="audio/x-wav"),
            EmbeddedResource(
                type="resource",
                resource=TextResourceContents(uri="file:///a", mime_type="text/x-rust", text="fn"),
            ),
            EmbeddedResource(
                type="resource",
                resource=BlobResourceContents(uri="file:///b", blob=encoded(b"%PDF-")),
            ),
            ResourceLink(type="resource_link", uri="file:///c", name="c", size=3),
        ]
    )


@pytest.mark.parametrize("json_response", [True, False])
def test_every_kind_of_block_of_a_real_server_arrives(sdk_server, json_response):
    server = sdk_server(Offer("tool", handler=every_kind), json_response=json_response)

    result = call(settled(server))

    assert list(result.content) == [
        {"type": "text", "text": "hello"},
        {"type": "image", "mimeType": "image/png", "data": encoded(PNG)},
        {"type": "audio", "mimeType": "audio/wav", "data": encoded(WAV)},
        {
            "type": "resource",
            "resource": {"uri": "file:///a", "mimeType": "text/x-rust", "text": "fn"},
        },
        {
            "type": "resource",
            "resource": {"uri": "file:///b", "mimeType": OCTETS, "blob": encoded(b"%PDF-")},
        },
        {"type": "resource_link", "uri": "file:///c", "name": "c", "size": 3},
    ]
    assert MCPClient(settled(server)).execute_tool("tool", {}) == list(result.content)


def test_a_results_fields_are_those_of_a_copy_but_no_copy():
    result = ToolResult(({"type": "text", "text": "a"},), {"rows": [1]}, has_structured=True)

    assert result.as_dict() == asdict(result)
    assert result.as_dict()["structured"] is result.structured


def test_files_part_from_their_result_by_their_hash():
    blob = {"type": "resource", "resource": {"uri": "a:b", "blob": encoded(b"zip")}}
    result = ToolResult(checked_blocks([image(), blob, image()]), {"n": 1}, has_structured=True)

    parted, files = without_files(result)

    digest = hashlib.sha256(PNG).hexdigest()
    assert parted.content[0] == parted.content[2]
    assert parted.content[0] == {
        "type": "image",
        "mimeType": "image/png",
        "file": digest,
        "bytes": len(PNG),
    }
    assert parted.content[1]["resource"]["bytes"] == 3
    assert "blob" not in parted.content[1]["resource"]
    assert (parted.structured, parted.has_structured) == ({"n": 1}, True)
    assert [(file.sha256, file.data) for file in files][0] == (digest, PNG)
    assert [file.media_type for file in files] == ["image/png", OCTETS]


@pytest.mark.parametrize(
    ("block", "kind", "reason"),
    [
        (7, "block", "no type"),
        ({"type": 7}, "block", "no type"),
        ({"type": "hologram", "data": "x" * 100}, "hologram", "does not know"),
        ({"type": "<b>"}, "block", "does not know"),
        ({"type": "text"}, "text", "no text"),
        ({"type": "image"}, "image", "no data"),
        ({"type": "image", "data": ""}, "image", "no data"),
        ({"type": "image", "data": 7}, "image", "no data"),
        ({"type": "image", "data": "not base64!"}, "image", "not Base64"),
        ({"type": "image", "data": "aGk"}, "image", "not Base64"),
        ({"type": "image", "data": "aG\nk="}, "image", "not Base64"),
        ({"type": "image", "data": "äöüß"}, "image", "not Base64"),
        ({"type": "audio", "data": "_-_-"}, "audio", "not Base64"),
        (image(b"x" * (MAX_FILE_BYTES + 3)), "image", "larger than 4 MB"),
        ({"type": "resource"}, "resource", "no resource"),
        ({"type": "resource", "resource": {"uri": "a:b"}}, "resource", "no data"),
        ({"type": "resource_link", "name": "x"}, "resource_link", "malformed"),
        ({"type": "resource_link", "uri": "a:\x1b[2J"}, "resource_link", "malformed"),
        ({"type": "resource_link", "uri": "a:" + "b" * 3_000}, "resource_link", "malformed"),
    ],
)
def test_a_broken_block_says_what_is_wrong_with_it(block, kind, reason):
    checked = checked_block(block)

    assert (checked["type"], checked["kind"]) == ("unusable", kind)
    assert reason in checked["reason"]
    assert len(str(checked)) < 200


def test_a_block_keeps_nothing_that_is_not_known():
    assert checked_block({"type": "text", "text": "a", "_meta": {"x": 1}, "more": "y" * 9}) == {
        "type": "text",
        "text": "a",
    }


def test_the_blocks_of_one_result_are_bounded():
    blocks = checked_blocks({"type": "text", "text": "a"} for _ in range(MAX_BLOCKS + 5))

    assert len(blocks) == MAX_BLOCKS + 1
    assert blocks[-1]["type"] == "unusable"


@pytest.mark.parametrize(
    ("claimed", "data", "served"),
    [
        ("image/png", PNG, "image/png"),
        ("IMAGE/PNG; a=b", PNG, "image/png"),
        ("text/html", PNG, "image/png"),
        ("image/jpeg", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("image/gif", b"GIF89a", "image/gif"),
        ("image/webp", b"RIFF\x0a\x00\x00\x00WEBP", "image/webp"),
        ("image/png", b"<script>", OCTETS),
        ("image/svg+xml", b"<svg onload=x>", OCTETS),
        ("text/html", b"<script>", OCTETS),
        ("application/xhtml+xml", b"<html>", OCTETS),
        ("text/javascript", b"alert(1)", OCTETS),
        ("application/pdf", b"%PDF-", "application/pdf"),
        ("audio/mp3", b"ID3", "audio/mpeg"),
        ("audio/wav\r\nX: y", WAV, OCTETS),
        ("", b"", OCTETS),
        (None, b"", OCTETS),
        (7, b"", OCTETS),
    ],
)
def test_the_served_type_is_never_the_servers_word_for_something_active(claimed, data, served):
    assert file_type(claimed, data) == served


def test_a_file_that_holds_our_own_secret_is_not_taken(sdk_server):
    leak = CallToolResult(
        content=[ImageContent(type="image", data=encoded(SECRET.encode()), mime_type="image/png")]
    )
    server = sdk_server(Offer("tool", handler=lambda arguments: leak), token=SECRET)

    result = call(settled(server, headers={"Authorization": f"Bearer {SECRET}"}))

    assert result.content[0]["reason"] == "it holds a secret of this site"


def test_an_address_with_hidden_characters_is_none():
    assert plain_uri("file:///a\u202eb") == plain_uri(" ") == plain_uri(None) == ""
    assert plain_uri("file:///ä b") == "file:///ä b"


def test_an_image_of_three_megabytes_arrives_whole(sdk_server):
    data = PNG + bytes(3 * 1024 * 1024 - 4_096)
    large = CallToolResult(
        content=[ImageContent(type="image", data=encoded(data), mime_type="image/png")]
    )
    server = sdk_server(Offer("tool", handler=lambda arguments: large), json_response=True)

    _, files = without_files(call(settled(server)))

    assert files[0].data == data


def test_an_image_that_makes_its_answer_too_large_is_refused_and_may_have_been_made(sdk_server):
    large = CallToolResult(
        content=[
            ImageContent(type="image", data=encoded(bytes(4 * 1024 * 1024)), mime_type="image/png")
        ]
    )
    server = sdk_server(Offer("tool", handler=lambda arguments: large), json_response=True)

    error = failure(settled(server))

    assert isinstance(error, LimitExceeded)
    assert error.may_have_run


@pytest.mark.parametrize(
    ("schema", "value", "problems"),
    [
        ({"type": "object", "required": ["a"]}, {"a": 1}, ()),
        ({"type": "array", "items": {"type": "integer"}}, [1, 2], ()),
        ({"type": "string"}, "text", ()),
        ({"type": "null"}, None, ()),
        ({}, 1.5, ()),
        ({"type": "object"}, [1], ("$ must be of type object, not a list of 1 items.",)),
        ({"type": "integer"}, "7", ('$ must be of type integer, not "7".',)),
        ({"type": "string"}, None, ("$ must be of type string, not null.",)),
    ],
)
def test_any_json_value_is_held_to_an_output_schema(schema, value, problems):
    assert validate_output(schema, value) == problems


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        ({"type": 7}, {}, "schema itself"),
        ({"$ref": "https://example.com/s"}, {}, "schema itself"),
        ({"$ref": "#"}, {}, "schema itself"),
        ({}, float("nan"), "finite"),
        ({}, "x" * 1_000_001, "bytes"),
        ({}, "a\x00b", "NUL"),
    ],
)
def test_an_output_that_cannot_be_checked_is_a_problem_and_no_error(schema, value, words):
    (problem,) = validate_output(schema, value)

    assert words in problem
