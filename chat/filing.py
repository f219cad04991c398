"""How a person keeps conversations: titles, pins, the archive, and deletion with a way back."""

import logging
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from automate.conf import conf

from .models import Conversation
from .submission import stop_turn

logger = logging.getLogger(__name__)

MAX_TITLE_CHARACTERS = 120
PURGED_AT_ONCE = 100
"""Conversations that one sweep removes; the next one goes on."""


def rename(conversation: Conversation, title: str) -> None:
    """Give it a title, which none that is made by itself replaces.

    Raises:
        ValidationError: there are no words in it, or too many.
    """
    # PostgreSQL stores no NUL, and no database a lone surrogate.
    title = " ".join(title.replace("\x00", "").encode(errors="replace").decode().split())
    if not title:
        raise ValidationError(_("Write a title first."), code="empty")
    if len(title) > MAX_TITLE_CHARACTERS:
        raise ValidationError(
            _("This title has %(length)s characters; the limit is %(limit)s.")
            % {"length": f"{len(title):,}", "limit": MAX_TITLE_CHARACTERS},
            code="too_long",
        )
    _set(conversation, title=title, titled_at=timezone.now())


def pin(conversation: Conversation) -> None:
    """Let it stand first in the list."""
    _set(conversation, pinned_at=timezone.now())


def unpin(conversation: Conversation) -> None:
    """Let it stand among the others."""
    _set(conversation, pinned_at=None)


def archive(conversation: Conversation) -> None:
    """Take it out of the list; the next message in it brings it back."""
    _set(conversation, archived_at=timezone.now())


def unarchive(conversation: Conversation) -> None:
    """Put it back into the list."""
    _set(conversation, archived_at=None)


def delete(conversation: Conversation) -> None:
    """Let it not exist any more, with a way back until a sweep removes it; its answer is stopped.

    A second time changes nothing.
    """
    Conversation.objects.filter(pk=conversation.pk, deleted_at=None).update(
        deleted_at=timezone.now()
    )
    for turn in conversation.turns.unfinished():
        stop_turn(turn)


def restore(conversation: Conversation) -> None:
    """Undo its deletion; what had been stopped stays so."""
    _set(conversation, deleted_at=None)


def purge_deleted() -> int:
    """Remove for good, with all files, what was deleted long enough ago; returns how many."""
    due = timezone.now() - timedelta(seconds=conf().DELETED_CONVERSATION_SECONDS)
    found = Conversation.objects.filter(deleted_at__lte=due).order_by("deleted_at")
    return sum(map(_purged, found.values_list("pk", flat=True)[:PURGED_AT_ONCE]))


def _purged(conversation_id: Any) -> bool:
    """Whether it was removed; one that cannot be must not keep all others from it."""
    try:
        with transaction.atomic():
            # Locked, and looked at again: its person may take it back at this moment.
            found = Conversation.objects.filter(pk=conversation_id, deleted_at__isnull=False)
            row = found.select_for_update().first()
            if row is None:
                return False
            row.delete()
    except Exception:  # one that cannot be removed must not keep the others
        logger.exception("The deleted conversation %s cannot be removed", conversation_id)
        return False
    return True


def _set(conversation: Conversation, **fields: Any) -> None:
    """Store these fields alone, so that two tabs do not undo each other's changes."""
    Conversation.objects.filter(pk=conversation.pk).update(**fields)
    for name, value in fields.items():
        setattr(conversation, name, value)
