import json

import pytest

from automate_llm.results import model_text
from automate_llm.values import ToolResult


def text(value):
    return {"type": "text", "text": value}


def media(kind, media_type, **parts):
    return {"type": kind, "mimeType": media_type, **parts}


blob = {"uri": "file:a", "mimeType": "application/pdf", "file": "ab", "bytes": 2_048}


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (ToolResult(), "(empty)"),
        (ToolResult((text(""),)), "(empty)"),
        (ToolResult((text("a"), text("b"))), "a\nb"),
        (ToolResult((text("{}"),), {"a": "é"}, has_structured=True), '{"a":"é"}'),
        (ToolResult((text("x"),), None, has_structured=True), "null"),
        (ToolResult((), "plain", has_structured=True), "plain"),
        (ToolResult((), 0, has_structured=True), "0"),
        (ToolResult((media("image", "image/png", data="aGk="),)), "[image image/png]"),
        (
            ToolResult((media("image", "image/png", file="ab", bytes=12_288),)),
            "[image image/png, 12 KB, shown to the person]",
        ),
        (
            ToolResult((media("audio", "audio/wav", file="ab", bytes=3_000_000),)),
            "[audio audio/wav, 2.9 MB, given to the person]",
        ),
        (
            ToolResult((text("{}"), media("image", "image/png", file="ab", bytes=9)), {}, True),
            "{}\n[image image/png, 9 bytes, shown to the person]",
        ),
        (
            ToolResult(({"type": "resource", "resource": blob},)),
            "[resource file:a application/pdf, 2 KB, given to the person]",
        ),
        (
            ToolResult(({"type": "unusable", "kind": "image", "reason": "it has no data"},)),
            "[image left out: it has no data]",
        ),
        (
            ToolResult(({"type": "resource", "resource": {"uri": "file:a", "text": "A"}},)),
            "[resource file:a]\nA",
        ),
        (
            ToolResult(({"type": "resource_link", "uri": "https://a/", "name": "A"},)),
            "[link to A: https://a/]",
        ),
        (ToolResult(({"no": "type"},)), "[something that cannot be shown]"),
    ],
)
def test_a_model_is_shown_the_data_once_and_other_content_by_name(result, shown):
    seen = model_text(result, 1_000)

    assert seen == shown


def test_a_long_result_is_cut_and_says_so():
    seen = model_text(ToolResult((text("é" * 70_000),)), 64_000)

    assert seen.startswith("é" * 64_000 + "\n[Cut here: this is the first 64,000 of 70,000 char")
    assert len(seen) < 64_200


def test_a_result_of_the_limit_is_whole():
    rows = [{"id": number} for number in range(100)]
    whole = json.dumps(rows, separators=(",", ":"))

    assert model_text(ToolResult((), rows, has_structured=True), len(whole)) == whole
