"""Links that show a conversation: who may make one, what it shows, and when it leads nowhere."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from automate_llm.content import File
from chat import filing, sharing
from chat.files import attach_files
from chat.models import Attachment, Share, Turn

from .hostile import HOSTILE_BUNDLES, elements
from .rows import put
from .test_views import end, person, stranger
from .test_views_content import a_call, a_turn

__all__ = ["person", "stranger"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("executor")]

PNG = b"\x89PNG\r\n\x1a\n0000"


@pytest.fixture
def user(user: Any, settings: Any) -> Any:
    """Somebody who may share, on a site that wants it."""
    settings.AUTOMATE = {**settings.AUTOMATE, "SHARING": True}
    user.user_permissions.add(Permission.objects.get(codename="add_share"))
    return user


@pytest.fixture
def talk(user: Any) -> Turn:
    """A turn with a call, a file of the call, and a file of the person."""
    turn = a_turn(user, "My question", "The **answer**")
    call = a_call(turn, status="succeeded", arguments={"sku": "ARGUMENT"}, result_text="RESULT")
    attach_files(call, [File(PNG, "image/png")])
    Attachment.objects.create(
        message=turn.messages.get(role="user"),
        file=call.files.get().file,
        name="mine.png",
        media_type="image/png",
    )
    return turn


def link(turn: Turn, **shown: bool) -> str:
    made = sharing.share(turn.conversation, **{"with_calls": False, "with_files": False, **shown})
    return address_of(made)


def address_of(made: Share) -> str:
    return reverse("chat:shared", args=[made.pk, made.signature])


def test_a_link_is_made_on_a_page_and_opened_without_login(person: Client, talk: Turn) -> None:
    form = reverse("chat:share", args=[talk.conversation_id])
    assert person.post(form).headers["Location"] == form
    found = re.search(r'value="http://testserver([^"]+)"', person.get(form).content.decode())
    assert found

    anonymous = Client()
    answer = anonymous.get(found[1])

    page = answer.content.decode()
    assert "My question" in page
    assert "<strong>answer</strong>" in page
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert not anonymous.cookies
    for private in ("ARGUMENT", "RESULT", "Stock", "mine.png", "ann", "csrf", "<form", "<img"):
        assert private not in page


def test_calls_and_files_are_shown_where_that_was_ticked(talk: Turn, client: Client) -> None:
    with_calls = client.get(link(talk, with_calls=True)).content.decode()
    with_files = client.get(link(talk, with_files=True)).content.decode()

    assert "ARGUMENT" in with_calls
    assert "RESULT" in with_calls
    assert "<img" not in with_calls
    assert "ARGUMENT" not in with_files
    images = re.findall(r'src="(/chat/shared/[^"]+)"', with_files)
    assert len(images) == 2
    for image in images:
        assert client.get(image).content == PNG


def test_no_file_comes_by_a_link_that_does_not_show_it(
    talk: Turn, user: Any, client: Client
) -> None:
    other = a_turn(user)
    attach_files(a_call(other), [File(b"other", "text/plain")])
    file, others = talk.tool_calls.get().files.get(), other.tool_calls.get().files.get()
    attachment = Attachment.objects.get()
    closed, open_ = link(talk), link(talk, with_files=True)

    for path in (
        f"{closed}files/{file.pk}/",
        f"{closed}attachments/{attachment.pk}/",
        f"{open_}files/{others.pk}/",
    ):
        assert client.get(path).status_code == 404


def test_a_link_shows_the_conversation_as_it_was(talk: Turn, ask: Any, client: Client) -> None:
    address = link(talk)

    end(ask("A later question", talk.conversation), answer="A later answer")
    filing.rename(talk.conversation, "A later title")

    page = client.get(address).content.decode()
    assert "My question" in page
    assert "later" not in page


def test_an_answer_under_way_is_not_shared(talk: Turn, person: Client) -> None:
    put(talk, Turn.Status.RUNNING)

    answer = person.post(reverse("chat:share", args=[talk.conversation_id]))

    assert answer.status_code == 422
    assert "nothing to share yet" in answer.content.decode()
    assert not Share.objects.exists()


ENDS: dict[str, Callable[[Any, Turn, Any], object]] = {
    "revoked": lambda user, turn, settings: sharing.revoke(Share.objects.get()),
    "deleted": lambda user, turn, settings: filing.delete(turn.conversation),
    "removed": lambda user, turn, settings: turn.conversation.delete(),
    "permission lost": lambda user, turn, settings: user.user_permissions.clear(),
    "inactive": lambda user, turn, settings: type(user).objects.update(is_active=False),
    "switched off": lambda user, turn, settings: setattr(settings, "AUTOMATE", {"SHARING": False}),
    "new key": lambda user, turn, settings: setattr(settings, "SECRET_KEY", "another"),
}


@pytest.mark.parametrize("ending", ENDS)
def test_a_link_leads_nowhere_once_it_may_not(
    talk: Turn, user: Any, client: Client, settings: Any, ending: str
) -> None:
    address = link(talk, with_files=True)
    file = f"{address}files/{talk.tool_calls.get().files.get().pk}/"
    assert client.get(address).status_code == client.get(file).status_code == 200

    ENDS[ending](user, talk, settings)

    assert client.get(address).status_code == client.get(file).status_code == 404


def test_archiving_and_undo_leave_a_link_as_it_is(talk: Turn, client: Client) -> None:
    address = link(talk)

    filing.archive(talk.conversation)
    filing.delete(talk.conversation)
    filing.restore(talk.conversation)

    assert client.get(address).status_code == 200


def test_a_link_cannot_be_guessed_or_taken_from_another(talk: Turn, client: Client) -> None:
    made = sharing.share(talk.conversation, with_calls=False, with_files=False)
    other = sharing.share(talk.conversation, with_calls=True, with_files=True)

    for signature in (other.signature, made.signature[:-1], "x", ":", "%00"):
        address = reverse("chat:shared", args=[made.pk, signature])
        assert client.get(address).status_code == 404


def test_only_who_may_share_makes_links_and_only_its_owner_revokes_one(
    talk: Turn, user: Any, person: Client, stranger: Client, settings: Any
) -> None:
    made = sharing.share(talk.conversation, with_calls=False, with_files=False)
    form = reverse("chat:share", args=[talk.conversation_id])
    revoke = reverse("chat:revoke-share", args=[made.pk])

    assert stranger.get(form).status_code == stranger.post(form).status_code == 404
    assert stranger.post(revoke).status_code == 404
    assert "My question" not in stranger.get(reverse("chat:shares")).content.decode()
    assert address_of(made) in person.get(reverse("chat:shares")).content.decode()
    user.user_permissions.clear()
    assert person.get(form).status_code == person.post(form).status_code == 404
    assert person.get(revoke).status_code == 405
    assert person.post(revoke).headers["Location"] == reverse("chat:shares")
    made.refresh_from_db()
    assert made.revoked_at is not None
    assert address_of(made) not in person.get(reverse("chat:shares")).content.decode()


def test_sharing_is_off_by_default_and_then_nowhere_offered(
    person: Client, talk: Turn, settings: Any
) -> None:
    menu = reverse("chat:manage", args=[talk.conversation_id])
    form = reverse("chat:share", args=[talk.conversation_id])
    assert form in person.get(menu).content.decode()

    settings.AUTOMATE = {}

    page = person.get(menu).content.decode()
    assert form not in page
    assert reverse("chat:shares") not in page
    assert person.post(form).status_code == 404


def test_hostile_text_anywhere_adds_no_element_to_a_shared_page(user: Any, client: Client) -> None:
    expected: Any = None
    for text in ("x", *HOSTILE_BUNDLES):
        turn = a_turn(user, text, "!", status=Turn.Status.FAILED)
        a_call(turn, title=text, server_name=text, arguments={text: text}, result_text=text)
        page = client.get(link(turn, with_calls=True)).content.decode()
        skeleton = [(tag, sorted(names)) for tag, names in elements(page)]
        expected = expected or skeleton
        assert skeleton == expected, text
        turn.conversation.delete()
