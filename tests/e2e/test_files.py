"""Files of tools in a real browser: an image is seen, and nothing else of them runs."""

import base64
import struct
import zlib
from typing import Any

import pytest
from mcp_types import CallToolResult, ImageContent

from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, text

from .test_chat import wait_for_answer

HOSTILE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(2)</script></svg>'
)


def png(side: int) -> bytes:
    """A square image."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\x30\x60\xc0" * side) * side)
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture
def drawing(model: Any, shop: Any) -> Any:
    """Let the tool answer with these bytes as an image of this type."""

    def draw(data: bytes, media_type: str) -> None:
        block = ImageContent(
            type="image", data=base64.b64encode(data).decode(), mime_type=media_type
        )
        shop(Offer("draw", handler=lambda arguments: CallToolResult(content=[block])))
        model([calls(("shop__draw", {})), text("Here it is.")])

    return draw


def test_an_image_is_seen_as_soon_as_its_tool_has_answered(
    page: Any, send: Any, drawing: Any
) -> None:
    drawing(png(120), "image/png")

    send(page, "Draw")

    page.wait_for_selector(".call[open] .call-image img")
    page.wait_for_function("document.querySelector('.call-image img').naturalWidth === 120")
    page.reload()
    page.wait_for_function("document.querySelector('.call-image img').naturalWidth === 120")


@pytest.mark.parametrize("media_type", ["image/svg+xml", "image/png"])
def test_a_drawing_with_a_script_is_a_download(
    page: Any, send: Any, drawing: Any, media_type: str
) -> None:
    drawing(HOSTILE, media_type)

    send(page, "Draw")
    page.wait_for_selector(".call-file", state="attached")
    wait_for_answer(page)  # whose last swap could come between a press and its release
    page.click(".call summary")
    with page.expect_download() as download:
        page.click(".call-file")

    assert download.value.suggested_filename.endswith(".bin")
    assert page.locator(".call-image").count() == 0
