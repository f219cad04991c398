"""Read-only links to a conversation: off until the site, a permission and its person want one."""

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Prefetch
from django.utils import timezone
from django.utils.translation import gettext as _

from automate.conf import conf

from . import pages
from .models import Attachment, CallFile, Conversation, Message, Share, ToolCall, Turn

PERMISSION = "automate_chat.add_share"


def may_share(user: Any) -> bool:
    """Whether links are made for this person, and those of theirs are good."""
    return conf().SHARING and bool(user.is_active and user.has_perm(PERMISSION))


def share(conversation: Conversation, *, with_calls: bool, with_files: bool) -> Share:
    """Make a link to what the conversation shows now; of an answer under way it holds nothing.

    Raises:
        ValidationError: there is nothing to show.
    """
    finished = [str(turn.pk) for turn in pages.turns(conversation) if turn.finished]
    if not finished:
        raise ValidationError(_("There is nothing to share yet."), code="empty")
    return Share.objects.create(
        user_id=conversation.user_id,
        conversation=conversation,
        title=conversation.title,
        turns=finished,
        with_calls=with_calls,
        with_files=with_files,
    )


def revoke(shared: Share) -> None:
    """Let the link lead nowhere, for good."""
    Share.objects.filter(pk=shared.pk, revoked_at=None).update(revoked_at=timezone.now())


def opened(share_id: UUID, signature: str) -> Share | None:
    """What a link leads to; nothing where it is not right, was revoked, or may not be any more."""
    if not conf().SHARING:
        return None
    found = Share.objects.in_force().select_related("user", "conversation").filter(pk=share_id)
    shared = found.first()
    if shared is None or not shared.is_signed_by(signature) or not may_share(shared.user):
        return None
    return shared


def shown_turns(shared: Share) -> list[Turn]:
    """The turns of a link in order, with no more of their calls and files than it shows."""
    calls = ToolCall.objects.defer("result").order_by("pk")
    files = CallFile.objects.select_related("file")
    calls = calls.prefetch_related(Prefetch("files", files if shared.with_files else files.none()))
    attachments = Attachment.objects.select_related("file").defer("text").order_by("pk")
    messages = Message.objects.order_by("pk").prefetch_related(
        Prefetch("tool_calls", calls),
        Prefetch("attachments", attachments if shared.with_files else attachments.none()),
    )
    found = Turn.objects.filter(conversation=shared.conversation_id, pk__in=shared.turns)
    by_id = {str(turn.pk): turn for turn in found.prefetch_related(Prefetch("messages", messages))}
    return [by_id[turn] for turn in shared.turns if turn in by_id]


def shown_file(shared: Share, file_id: int) -> CallFile | None:
    """A file of a call that the link shows; nothing where it shows none, or not this one."""
    if not shared.with_files:
        return None
    found = CallFile.objects.filter(call__turn__in=shared.turns, pk=file_id)
    return found.select_related("file").first()


def shown_attachment(shared: Share, attachment_id: int) -> Attachment | None:
    """A file that came with a message that the link shows."""
    if not shared.with_files:
        return None
    found = Attachment.objects.filter(message__turn__in=shared.turns, pk=attachment_id)
    return found.select_related("file").defer("text").first()
