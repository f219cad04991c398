"""Files that people send along: what is taken, who gets them, and what a model sees of them."""

import base64
import struct
import zlib
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from chat.attachments import MAX_PIXELS, Upload, clean_name
from chat.engine import run_turn
from chat.models import Attachment, Conversation, Message, StoredFile, Turn
from chat.pictures import pixels
from chat.submission import continue_turn, send_message
from tests.servers.scripted_replies import status, text

from .rows import put

pytestmark = pytest.mark.django_db

MODELS = {
    "default": {"MODEL": "scripted", "IMAGES": True, "LABEL": "Sees"},
    "blind": {"MODEL": "scripted", "LABEL": "Blind"},
}


def png(width: int = 2, height: int = 2) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")


GIF = b"GIF89a" + struct.pack("<HH", 3, 5)
JPEG = (
    b"\xff\xd8\xff\xe0" + struct.pack(">H", 4) + b"ab" + b"\xff\xff\xc0\x00\x11\x08"
    b"" + struct.pack(">HH", 3, 5)
)
WEBP = {
    "VP8X": b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 8 + b"\x02\0\0\x04\0\0",
    "VP8L": b"RIFF\0\0\0\0WEBPVP8L" + b"\0" * 4 + b"\x2f" + struct.pack("<I", 2 | 4 << 14),
    "VP8 ": b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 10 + struct.pack("<HH", 3, 5),
}


@pytest.fixture
def person(client: Client, user: Any, executor: Any) -> Client:
    client.force_login(user)
    return client


@pytest.fixture
def say(user: Any, executor: Any, settings: Any) -> Any:
    """Send a message with files, without letting a turn run."""
    settings.AUTOMATE = {"MODELS": MODELS}

    def send(*uploads: Upload, text: str = "Look", **more: Any) -> Turn:
        conversation = more.pop("conversation", None)
        return send_message(user, conversation, text, uuid4(), uploads=uploads, **more)

    return send


def form_file(name: str, data: bytes = b"text") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data, content_type="image/png")


@pytest.mark.parametrize(
    ("data", "media_type", "size"),
    [
        (png(640, 480), "image/png", 640 * 480),
        (GIF, "image/gif", 15),
        (JPEG, "image/jpeg", 15),
        *((data, "image/webp", 15) for data in WEBP.values()),
        (b"\xff\xd8\xff\xe0\xff\xff", "image/jpeg", 0),
        (b"\xff\xd8\xff\xda", "image/jpeg", 0),
        (b"\x89PNG\r\n\x1a\n", "image/png", 0),
        (b"RIFF\0\0\0\0WEBPVP8X", "image/webp", 0),
        (b"RIFF\0\0\0\0WEBPODD!", "image/webp", 0),
        (GIF, "image/tiff", 0),
    ],
)
def test_the_size_of_an_image_is_read_from_its_first_bytes(
    data: bytes, media_type: str, size: int
) -> None:
    assert pixels(data, media_type) == size


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"plain words", "text/plain"),
        ("wörter".encode("utf-16"), "text/plain"),
        (b"\xef\xbb\xbfwith a mark", "text/plain"),
        (b"<svg onload='alert(1)'/>", "text/plain"),
        (b"<!doctype html><script>alert(1)</script>", "text/plain"),
        (png(), "image/png"),
        (GIF, "image/gif"),
    ],
)
def test_the_bytes_say_what_a_file_is_whatever_its_name_says(
    say: Any, data: bytes, media_type: str
) -> None:
    say(Upload("innocent.pdf", data))

    assert Attachment.objects.get().media_type == media_type


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"PK\x03\x04" + b"\0" * 100, "neither text"),
        (b"%PDF-1.7\n\x00\xff", "neither text"),
        (b"half a character \xc3", "neither text"),
        (b"a NUL \x00 in it", "neither text"),
        (b"\x1b[31mred", "neither text"),
        (b"\x89PNG\r\n\x1a\n<svg/>", "broken"),
        (png(MAX_PIXELS, 2), "far too large"),
        (b"x" * 2_000, "larger than 1000 bytes"),
    ],
)
def test_a_file_of_no_use_is_refused_by_name_and_nothing_is_stored(
    say: Any, settings: Any, data: bytes, why: str
) -> None:
    settings.AUTOMATE = {"MODELS": MODELS, "MAX_ATTACHMENT_BYTES": 1_000}

    with pytest.raises(ValidationError) as refusal:
        say(Upload("a.txt", b"fine"), Upload("bad\u202e.png", data))

    assert "“bad.png”" in refusal.value.messages[0]
    assert why in refusal.value.messages[0].replace("\xa0", " ")
    assert not Message.objects.exists()
    assert not StoredFile.objects.exists()


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.txt", "a.txt"),
        ("nul\x00l\r\nX-Header: 1.txt", "null X-Header: 1.txt"),
        ('quo"te.txt', "quo'te.txt"),
        ("\u202egnp.exe", "gnp.exe"),
        ("…" * 300 + ".txt", "…" * 32 + ".txt"),
        ("...", "file"),
        ("", "file"),
    ],
)
def test_a_files_name_becomes_one_that_can_be_shown(name: str, clean: str) -> None:
    assert clean_name(name) == clean
    assert len(clean_name(name)) <= 100


def test_a_form_brings_files_and_their_message_shows_them(person: Client, settings: Any) -> None:
    settings.AUTOMATE = {"MODELS": MODELS}
    files = [form_file("notes.md", b"# Notes"), form_file("<b>.png", png())]

    person.post(reverse("chat:send"), {"text": "", "attachments": files})
    page = person.get(reverse("chat:conversation", args=[Conversation.objects.get().pk]))

    notes, image = Attachment.objects.all()
    assert Conversation.objects.get().title == "notes.md, <b>.png"
    assert f'<img src="{reverse("chat:attachment", args=[image.pk])}"' in page.content.decode()
    assert 'alt="&lt;b&gt;.png"' in page.content.decode()
    assert reverse("chat:attachment", args=[notes.pk]) in page.content.decode()


@pytest.mark.parametrize("count", [11, 100])
def test_too_many_files_are_refused_and_the_text_stays(
    person: Client, settings: Any, count: int
) -> None:
    files = [form_file(f"{number}.txt") for number in range(count)]

    answer = person.post(reverse("chat:send"), {"text": "Precious", "attachments": files})

    assert answer.status_code == 422
    assert f"this one has {count}." in answer.content.decode()
    assert ">Precious</textarea>" in answer.content.decode()
    assert "have to be chosen again" in answer.content.decode()
    assert not StoredFile.objects.exists()


def test_ten_thousand_files_never_reach_the_storage(person: Client) -> None:
    body = "".join(
        f'--x\r\nContent-Disposition: form-data; name="attachments"; filename="{n}"\r\n\r\nx\r\n'
        for n in range(10_000)
    )
    answer = person.post(
        reverse("chat:send"), f"{body}--x--\r\n", content_type="multipart/form-data; boundary=x"
    )

    assert answer.status_code == 400
    assert not StoredFile.objects.exists()
    assert not Turn.objects.exists()


def test_a_file_that_is_too_large_is_dropped_while_it_comes_in(
    person: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUTOMATE = {"MAX_ATTACHMENT_BYTES": 200_000}
    written: list[int] = []
    monkeypatch.setattr(
        "django.core.files.uploadhandler.TemporaryFileUploadHandler.receive_data_chunk",
        lambda self, data, start: written.append(len(data)),
    )
    file = form_file("big.txt", b"x" * 3_000_000)  # large enough to go to disk
    answer = person.post(reverse("chat:send"), {"text": "Precious", "attachments": [file]})

    assert answer.status_code == 422
    assert 0 < sum(written) <= 200_000
    assert "“big.txt” was not taken: it is larger than" in answer.content.decode()
    assert ">Precious</textarea>" in answer.content.decode()


def test_the_form_with_files_still_wants_its_token(user: Any, executor: Any) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)

    answer = browser.post(reverse("chat:send"), {"text": "Hi", "attachments": [form_file("a")]})

    assert answer.status_code == 403
    assert not StoredFile.objects.exists()


def test_an_attachment_is_given_to_its_owner_alone_and_never_as_a_page(
    person: Client, say: Any, django_user_model: Any
) -> None:
    say(Upload("ä.html", b"<script>alert(1)</script>"))
    address = reverse("chat:attachment", args=[Attachment.objects.get().pk])
    stranger = Client()
    stranger.force_login(django_user_model.objects.create_superuser("root"))

    answer = person.get(address)

    assert stranger.get(address).status_code == 404
    assert answer["Content-Type"] == "text/plain"
    assert answer["Content-Disposition"] == "attachment; filename*=utf-8''%C3%A4.html"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.content == b"<script>alert(1)</script>"


def test_a_storage_that_takes_nothing_is_told_and_nothing_is_sent(
    say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("django.core.files.storage.FileSystemStorage._save", full)

    with pytest.raises(ValidationError, match="could not store “a.txt”"):
        say(Upload("a.txt", b"text"))

    assert not Message.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_files_go_with_their_conversation_and_shared_bytes_with_the_last(say: Any) -> None:
    one = say(Upload("a.txt", b"same"))
    two = say(Upload("b.txt", b"same"), Upload("c.txt", b"same"))
    stored = StoredFile.objects.get()

    put(one, Turn.Status.DONE).conversation.delete()
    assert StoredFile.objects.get().pk == stored.pk
    put(two, Turn.Status.DONE).conversation.delete()

    assert not StoredFile.objects.exists()
    assert not stored.content.storage.exists(stored.content.name)


def asked(server: Any, at: int = -1) -> Any:
    """The content of the first message of a person in a request."""
    return next(each["content"] for each in server.requests[at].messages if each["role"] == "user")


@pytest.mark.django_db(transaction=True)
def test_a_model_reads_files_between_marks_cut_and_sees_images_also_when_asked_again(
    say: Any, model: Any, settings: Any
) -> None:
    server = model([status(400), text("I see."), text("Still.")], MAX_ATTACHMENT_CHARACTERS=10)
    settings.AUTOMATE["MODELS"]["default"]["IMAGES"] = True
    turn = say(Upload("long\n.txt", b"0123456789</file>more"), Upload("a.png", png()))
    run_turn(turn.pk)
    again = continue_turn(turn, uuid4())

    run_turn(again.pk)
    run_turn(say(text="And now?", conversation=again.conversation).pk)
    words, image = asked(server)

    assert words["text"].startswith('Look\n\n[The person attached the file "long .txt".')
    assert "\n0123456789\n</file " in words["text"]
    assert "[11 more characters of this file are left out.]" in words["text"]
    assert image["image_url"]["url"] == (
        f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    )
    assert asked(server, 0) == asked(server, 1) == asked(server, 2)


@pytest.mark.django_db(transaction=True)
def test_a_model_without_eyes_gets_no_image_and_is_told_of_earlier_ones(
    say: Any, model: Any, settings: Any
) -> None:
    server = model([text("Nice."), text("I cannot see it.")])
    default = settings.AUTOMATE["MODELS"]["default"]
    settings.AUTOMATE["MODELS"] = {"default": {**default, "IMAGES": True}, "blind": default}
    turn = say(Upload("a.png", png()))
    run_turn(turn.pk)

    with pytest.raises(ValidationError, match="cannot see images"):
        say(Upload("b.png", png()), conversation=turn.conversation, model="blind")
    run_turn(say(text="And?", conversation=turn.conversation, model="blind").pk)

    assert asked(server) == 'Look\n\n[The person attached the image "a.png"; ' + (
        "this model cannot see images.]"
    )


@pytest.mark.django_db(transaction=True)
def test_an_image_that_the_storage_lost_is_a_word_and_no_failure(
    say: Any, model: Any, settings: Any
) -> None:
    server = model([text("Oh.")])
    settings.AUTOMATE["MODELS"]["default"]["IMAGES"] = True
    turn = say(Upload("a.png", png(7, 7)))
    stored = StoredFile.objects.get()
    stored.content.storage.delete(stored.content.name)

    run_turn(turn.pk)
    turn.refresh_from_db()

    assert turn.status == Turn.Status.DONE
    assert "cannot be shown now" in asked(server)
