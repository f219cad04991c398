"""Full-text search in a person's own conversations.

By an index of words in SQLite (FTS5) and in PostgreSQL; other databases, and words in scripts that
are written without spaces, are looked for in every text.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connections, router
from django.utils.safestring import SafeString

from chat.models import Conversation, Message

from .base import Index, Match, Sought, marked, without_markdown
from .postgres import PostgresIndex
from .scan import Scan
from .sqlite import SQLiteIndex, has_index

RESULTS = 30
CANDIDATES = 500
"""The latest messages that match, of which the best are shown."""

SNIPPET_CHARACTERS = 180
_TITLE_BONUS = 2.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A conversation that holds what was sought, with the best place in it."""

    conversation: Conversation
    message: Message | None
    title: SafeString
    snippet: SafeString
    """A piece of the message, with the words in marks; empty where the title alone has them."""


def search(user: Any, text: str) -> list[Hit]:
    """This person's conversations that hold all the words, the best first; whatever is typed."""
    sought = Sought.of(text)
    if not sought:
        return []
    index = _index(sought)
    titles = index.titles(user.pk, sought, RESULTS)
    messages = index.messages(user.pk, sought, CANDIDATES)
    return _hits(user, sought, _best(titles, messages))


def _index(sought: Sought) -> Index:
    connection = connections[router.db_for_read(Message)]
    if not sought.is_scan:
        if connection.vendor == "postgresql":
            return PostgresIndex(connection)
        if connection.vendor == "sqlite" and has_index(connection):
            return SQLiteIndex(connection)
    return Scan()


def _best(titles: Iterable[Match], messages: Iterable[Match]) -> list[Match]:
    """One match for each conversation, the best first; of equals the later message."""
    best: dict[Any, Match] = {}
    for match in messages:
        known = best.get(match.conversation_id)
        if known is None or match.score > known.score:
            best[match.conversation_id] = match
    for title in titles:
        known = best.get(title.conversation_id)
        score = _TITLE_BONUS * title.score + (known.score if known else 0.0)
        message_id = known.message_id if known else None
        best[title.conversation_id] = Match(title.conversation_id, message_id, score)
    ranked = sorted(best.values(), key=lambda each: (-each.score, -(each.message_id or 0)))
    return ranked[:RESULTS]


def _hits(user: Any, sought: Sought, matches: list[Match]) -> list[Hit]:
    ids = [match.conversation_id for match in matches]
    own = Conversation.objects.owned_by(user).in_bulk(ids)
    found = Message.objects.in_bulk([each.message_id for each in matches if each.message_id])
    hits = []
    for match in matches:
        conversation = own.get(match.conversation_id)
        if conversation is None:  # deleted at this moment
            continue
        message = found.get(match.message_id or 0)
        snippet = marked(_words(message, sought), sought, SNIPPET_CHARACTERS)
        hits.append(Hit(conversation, message, marked(str(conversation), sought), snippet))
    return hits


def _words(message: Message | None, sought: Sought) -> str:
    """A message as it is read; as it was written where only a sign or an address was sought."""
    if message is None or message.role == Message.Role.USER:
        return message.content if message else ""
    words = without_markdown(message.content)
    return words if next(sought.spans(words), None) else message.content
