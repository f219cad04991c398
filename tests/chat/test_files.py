"""Files of tools: stored once, shown to their owner alone, and never run by a browser."""

import base64
import hashlib
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    TextContent,
)

from automate_llm.content import File
from chat.engine import run_turn
from chat.files import FOLDER, GRACE, CallFile, StoredFile, attach_files, file_storage
from chat.models import Conversation, ToolCall, Turn
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, text

from .hostile import elements

pytestmark = pytest.mark.django_db

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 2_000
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
PAGE = b"<!doctype html><script>alert(document.cookie)</script>"


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    """Where the files of this test lie."""
    settings.MEDIA_ROOT = str(tmp_path)
    return tmp_path


@pytest.fixture
def person(client: Client, user: Any) -> Client:
    client.force_login(user)
    return client


def image(data: bytes = PNG, media_type: str = "image/png") -> ImageContent:
    return ImageContent(type="image", data=encoded(data), mime_type=media_type)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
def drawn(model: Any, ask: Any, shop: Any) -> Any:
    """The call of a turn whose tool answered with these blocks: `drawn(image())`."""

    def draw(*blocks: Any, **options: Any) -> ToolCall:
        result = CallToolResult(content=list(blocks), **options.pop("result", {}))
        shop(Offer("draw", handler=lambda arguments: result, **options))
        draw.model = model([calls(("shop__draw", {})), text("Here it is.")])  # type: ignore[attr-defined]
        turn: Turn = ask("Draw")
        run_turn(turn.pk)
        return turn.tool_calls.get()

    return draw


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def address(call: ToolCall) -> str:
    return reverse("chat:file", args=[call.files.get().pk])


def page_of(person: Client, call: ToolCall) -> str:
    conversation = call.turn.conversation_id
    return person.get(reverse("chat:conversation", args=[conversation])).content.decode()


def test_an_image_is_stored_by_its_hash_and_no_base64_is_left(drawn: Any, folder: Path) -> None:
    call = drawn(TextContent(type="text", text="A mug."), image())

    digest = hashlib.sha256(PNG).hexdigest()
    assert call.status == ToolCall.Status.SUCCEEDED
    assert call.result["content"] == [
        {"type": "text", "text": "A mug."},
        {"type": "image", "mimeType": "image/png", "file": digest, "bytes": len(PNG)},
    ]
    assert call.result_text == "A mug.\n[image image/png, 12 KB, shown to the person]"
    (path,) = files_below(folder)
    assert (path.name, path.read_bytes()) == (digest, PNG)
    asked = json.dumps(drawn.model.requests[1].messages)
    assert encoded(PNG)[:60] not in asked
    assert "12 KB, shown to the person" in asked


def test_the_card_shows_an_image_from_our_own_origin(drawn: Any, person: Client) -> None:
    call = drawn(image())

    page = page_of(person, call)

    assert f'<img src="{address(call)}"' in page
    assert encoded(PNG)[:60] not in page
    assert f'id="call-{call.pk}" data-status="succeeded" open' in page


def test_the_owner_gets_the_bytes_with_headers_that_let_nothing_run(
    drawn: Any, person: Client
) -> None:
    call = drawn(image())

    answer = person.get(address(call))

    assert (answer.status_code, answer.content) == (200, PNG)
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["Content-Disposition"].startswith('inline; filename="file-')


def test_a_browser_that_has_it_asks_and_gets_nothing_twice(drawn: Any, person: Client) -> None:
    call = drawn(image())
    etag = person.get(address(call)).headers["ETag"]

    answer = person.get(address(call), headers={"If-None-Match": etag})

    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize(
    ("data", "claimed"),
    [
        (SVG, "image/svg+xml"),
        (SVG, "image/png"),
        (PAGE, "text/html"),
        (PAGE, "image/png"),
        (PAGE, "application/xhtml+xml"),
    ],
)
def test_what_could_run_is_a_download_of_plain_bytes(
    drawn: Any, person: Client, data: bytes, claimed: str
) -> None:
    call = drawn(image(data, claimed))

    answer = person.get(address(call))

    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="file-')
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    page = page_of(person, call)
    assert "<img" not in page
    assert f'href="{address(call)}" download' in page
    assert "given to the person" in call.result_text


def test_audio_and_blobs_are_downloads(drawn: Any, person: Client) -> None:
    blob = BlobResourceContents(
        uri="file:///<b>report</b>", blob=encoded(b"%PDF-1.7"), mime_type="application/pdf"
    )
    call = drawn(
        AudioContent(type="audio", data=encoded(b"RIFF0000WAVE"), mime_type="audio/x-wav"),
        EmbeddedResource(type="resource", resource=blob),
    )

    found = [person.get(reverse("chat:file", args=[each.pk])) for each in call.files.all()]

    assert [each.headers["Content-Type"] for each in found] == ["audio/wav", "application/pdf"]
    assert all(each.headers["Content-Disposition"].startswith("attachment") for each in found)
    assert [name for name, _ in elements(page_of(person, call)) if name == "b"] == []


def test_nobody_else_sees_a_file(drawn: Any, client: Client) -> None:
    call = drawn(image())
    other = get_user_model().objects.create_superuser("eve", password="password")

    anonymous = client.get(address(call))
    client.force_login(other)

    assert anonymous.status_code == 302
    assert client.get(address(call)).status_code == 404
    assert client.get(reverse("chat:file", args=[10**6])).status_code == 404
    etag = f'"{call.files.get().file.sha256}"'
    assert client.get(address(call), headers={"If-None-Match": etag}).status_code == 404


def test_the_storage_itself_is_served_by_no_address(drawn: Any, person: Client) -> None:
    call = drawn(image())
    name = call.files.get().file.content.name

    assert person.get(f"/media/{name}").status_code == 404
    assert person.get(f"/{name}").status_code == 404


@pytest.mark.parametrize("data", ["not base64!", "aGk", "", "äöü"])
def test_broken_base64_is_told_and_nothing_is_stored(drawn: Any, folder: Path, data: str) -> None:
    call = drawn(ImageContent(type="image", data=data, mime_type="image/png"))

    assert call.status == ToolCall.Status.SUCCEEDED
    assert call.result["content"][0]["type"] == "unusable"
    assert "[image left out: " in call.result_text
    assert not call.files.exists()
    assert files_below(folder) == []


def test_an_image_of_almost_three_megabytes_is_stored(drawn: Any, person: Client) -> None:
    data = PNG + bytes(2_900_000)

    call = drawn(image(data))

    assert call.result_text == "[image image/png, 2.8 MB, shown to the person]"
    assert person.get(address(call)).content == data


def test_an_answer_beyond_the_limit_stores_nothing_and_may_have_run(
    drawn: Any, folder: Path
) -> None:
    call = drawn(image(PNG + bytes(4 * 1024 * 1024)))

    assert call.status == ToolCall.Status.UNKNOWN
    assert files_below(folder) == []


def test_a_file_that_the_storage_does_not_take_costs_no_result(
    drawn: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / FOLDER).write_text("in the way")

    call = drawn(TextContent(type="text", text="Paid."), image())

    assert call.status == ToolCall.Status.SUCCEEDED
    assert call.result_text == "Paid.\n[image left out: it could not be stored]"
    assert "did not take a file" in caplog.text
    assert not StoredFile.objects.exists()


def test_the_same_bytes_are_stored_once(drawn: Any, ask: Any, folder: Path) -> None:
    first = drawn(image(), image())
    again: Turn = ask("Again")
    attach_files(_a_call(again), [File(PNG, "image/png")])

    assert first.files.count() == 1
    assert CallFile.objects.count() == 2
    assert StoredFile.objects.count() == len(files_below(folder)) == 1


def _a_call(turn: Turn) -> ToolCall:
    message = turn.messages.get()
    return ToolCall.objects.create(turn=turn, message=message, call_id="1", function_name="f")


def test_a_deleted_conversation_takes_its_files_with_it_unless_another_has_them(
    drawn: Any,
    ask: Any,
    person: Client,
    folder: Path,
    django_capture_on_commit_callbacks: Any,
) -> None:
    first = drawn(image())
    other: Turn = ask("Again")
    attach_files(_a_call(other), [File(PNG, "image/png")])

    with django_capture_on_commit_callbacks(execute=True):
        first.turn.conversation.delete()
    assert len(files_below(folder)) == StoredFile.objects.count() == 1
    with django_capture_on_commit_callbacks(execute=True):
        Conversation.objects.all().delete()

    assert files_below(folder) == []
    assert not StoredFile.objects.exists()


def test_a_deleted_person_leaves_no_file(
    drawn: Any, user: Any, folder: Path, django_capture_on_commit_callbacks: Any
) -> None:
    drawn(image())

    with django_capture_on_commit_callbacks(execute=True):
        user.delete()

    assert files_below(folder) == []


def test_a_file_whose_bytes_are_gone_does_not_exist(
    drawn: Any, person: Client, folder: Path
) -> None:
    call = drawn(image())
    files_below(folder)[0].unlink()

    assert person.get(address(call)).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_what_a_crash_left_is_cleared_once_it_is_old(
    drawn: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = drawn(image()).files.get().file
    unused = StoredFile(sha256="a" * 64, size=1)
    unused.content.save("", ContentFile(b"1"))
    file_storage().save(f"{FOLDER}/bb/{'b' * 64}", ContentFile(b"2"))

    def clear() -> str:
        out = StringIO()
        call_command("clear_orphaned_files", stdout=out)
        return out.getvalue()

    assert clear() == "Deleted 0 files and 0 without a row.\n"
    later = timezone.now() + 2 * GRACE
    monkeypatch.setattr("chat.files.timezone.now", lambda: later)
    assert clear() == "Deleted 1 files and 1 without a row.\n"

    assert [path.name for path in files_below(folder)] == [kept.sha256]


def test_a_site_may_name_a_storage_of_its_own(settings: Any, tmp_path: Path) -> None:
    assert file_storage() is default_storage
    settings.STORAGES = {
        **settings.STORAGES,
        "automate": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "own")},
        },
    }

    file_storage().save("x", ContentFile(b"1"))

    assert (tmp_path / "own/x").exists()


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ({"structured_content": {"n": "seven"}}, '$.n must be of type integer, not "seven".'),
        ({}, "it has no structured content."),
    ],
)
def test_a_result_that_does_not_fit_its_schema_counts_and_is_flagged(
    drawn: Any, person: Client, result: Any, why: str
) -> None:
    call = drawn(output_schema=SCHEMA, result=result)

    assert call.status == ToolCall.Status.SUCCEEDED
    assert call.warning == f"This result does not fit the tool's own output schema: {why}"
    assert drawn.model.requests[1].messages[-1]["content"].endswith(f"\n[{call.warning}]")
    assert '<p class="call-warning">' in page_of(person, call)


@pytest.mark.parametrize(
    "result", [{"structured_content": {"n": 7}}, {"is_error": True}], ids=["fits", "failed"]
)
def test_a_result_that_fits_and_a_failure_carry_no_flag(drawn: Any, result: Any) -> None:
    call = drawn(output_schema=SCHEMA, result=result)

    assert call.warning == ""
