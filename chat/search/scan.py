"""Looks into every text of a person: for databases without an index of words, and for scripts
without spaces.
"""

from typing import Any

from django.db.models import Q

from chat.models import Conversation, Message

from .base import Match, Sought


class Scan:
    """Needs no index, and takes the longer the more a person has said."""

    def messages(self, user_id: Any, sought: Sought, limit: int) -> list[Match]:
        own = Message.objects.filter(
            conversation__user=user_id, conversation__deleted_at=None
        ).order_by("-pk")
        found = own.filter(_holds("content", sought)).values_list("conversation_id", "pk")
        return [Match(conversation, pk, 1.0) for conversation, pk in found[:limit]]

    def titles(self, user_id: Any, sought: Sought, limit: int) -> list[Match]:
        own = Conversation.objects.owned_by(user_id).order_by("-updated_at")
        found = own.filter(_holds("title", sought)).values_list("pk", flat=True)
        return [Match(pk, None, 1.0) for pk in found[:limit]]


def _holds(field: str, sought: Sought) -> Q:
    """All the words are in the field; where there are no small letters, quicker."""
    condition = Q()
    for word in sought.words:
        lookup = "contains" if word.lower() == word.upper() else "icontains"
        condition &= Q(**{f"{field}__{lookup}": word})
    return condition
