"""The JSON API's part on whole conversations: lists, search, and what is done with them."""

from datetime import datetime
from typing import Self
from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Schema

from chat import filing
from chat.models import Conversation
from chat.rendering import visible_text
from chat.search import Hit, search

from .values import ERRORS

router = Router()

MAX_LISTED = 200


class ConversationOut(Schema):
    id: UUID
    title: str
    titled_by_person: bool = Field(description="Else the title was made from what was said.")
    head: UUID | None = Field(description="The last turn of the branch that is shown.")
    created_at: datetime
    updated_at: datetime
    pinned_at: datetime | None
    archived_at: datetime | None

    @classmethod
    def of(cls, conversation: Conversation) -> Self:
        return cls(
            id=conversation.pk,
            title=visible_text(conversation.title),
            titled_by_person=conversation.titled_at is not None,
            head=conversation.head_id,
            created_at=conversation.created_at,
            updated_at=conversation.updated_at,
            pinned_at=conversation.pinned_at,
            archived_at=conversation.archived_at,
        )


class HitOut(Schema):
    conversation: ConversationOut
    message: int | None = Field(description="Empty: the title alone has the words.")
    snippet: str = Field(description="HTML: a piece of the message, escaped, the words in <mark>.")

    @classmethod
    def of(cls, hit: Hit) -> Self:
        return cls(
            conversation=ConversationOut.of(hit.conversation),
            message=None if hit.message is None else hit.message.pk,
            snippet=hit.snippet,
        )


class ChangesIn(Schema):
    """What is to be changed; what is left out stays as it is."""

    title: str | None = None
    pinned: bool | None = None
    archived: bool | None = None


class Page(Schema):
    limit: int = Field(50, ge=1, le=MAX_LISTED)
    offset: int = Field(0, ge=0, le=1_000_000)
    archived: bool = False


@router.get("conversations", response={200: list[ConversationOut], **ERRORS})
def list_conversations(request: HttpRequest, page: Query[Page]) -> list[ConversationOut]:
    """This person's conversations, the one that was used last first."""
    own = Conversation.objects.owned_by(request.user)
    found = own.filter(archived_at__isnull=not page.archived).order_by("-updated_at")
    return [ConversationOut.of(each) for each in found[page.offset : page.offset + page.limit]]


@router.get("search", response={200: list[HitOut], **ERRORS})
def search_conversations(request: HttpRequest, q: str) -> list[HitOut]:
    """This person's conversations that hold all the words of `q`, the best first."""
    return [HitOut.of(each) for each in search(request.user, q)]


@router.get("conversations/{uuid:conversation_id}", response={200: ConversationOut, **ERRORS})
def read_conversation(request: HttpRequest, conversation_id: UUID) -> ConversationOut:
    """One conversation."""
    return ConversationOut.of(_owned(request, conversation_id))


@router.post("conversations/{uuid:conversation_id}", response={200: ConversationOut, **ERRORS})
def change_conversation(
    request: HttpRequest, conversation_id: UUID, sent: ChangesIn
) -> ConversationOut:
    """Rename, pin or archive a conversation, or take that back."""
    changed = _owned(request, conversation_id)
    if sent.title is not None:
        filing.rename(changed, sent.title)
    if sent.pinned is not None:
        (filing.pin if sent.pinned else filing.unpin)(changed)
    if sent.archived is not None:
        (filing.archive if sent.archived else filing.unarchive)(changed)
    return ConversationOut.of(changed)


@router.post(
    "conversations/{uuid:conversation_id}/delete", response={200: ConversationOut, **ERRORS}
)
def delete_conversation(request: HttpRequest, conversation_id: UUID) -> ConversationOut:
    """Delete a conversation, whose answer is stopped; for some minutes it can be brought back."""
    doomed = get_object_or_404(Conversation, pk=conversation_id, user=request.user)
    filing.delete(doomed)
    return ConversationOut.of(doomed)


@router.post(
    "conversations/{uuid:conversation_id}/restore", response={200: ConversationOut, **ERRORS}
)
def restore_conversation(request: HttpRequest, conversation_id: UUID) -> ConversationOut:
    """Undo the deletion of a conversation that is still there."""
    kept = get_object_or_404(Conversation, pk=conversation_id, user=request.user)
    filing.restore(kept)
    return ConversationOut.of(kept)


def _owned(request: HttpRequest, conversation_id: UUID) -> Conversation:
    return get_object_or_404(Conversation.objects.owned_by(request.user), pk=conversation_id)
