"""The index of words in PostgreSQL: one on a function of the text, so that no writer can forget it.

The second migration makes both. The function takes accents away, splits words at every sign, and
stops at a length whose words always fit a `tsvector`.
"""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from chat.models import Conversation, Message

from .base import Match, Sought, folded

_MESSAGE, _TALK = Message._meta.db_table, Conversation._meta.db_table

_FIND_MESSAGES = f"""
    SELECT m.conversation_id, m.id, 0.0::float8 FROM {_MESSAGE} m
    JOIN {_TALK} c ON c.id = m.conversation_id
    WHERE automate_chat_words(m.content) @@ to_tsquery('simple', %s)
    AND c.user_id = %s AND c.deleted_at IS NULL
    ORDER BY m.id DESC LIMIT %s"""
# The rank reads the words of each message once more.
_RANK_MESSAGES = f"""
    SELECT conversation_id, id, ts_rank(automate_chat_words(content), to_tsquery('simple', %s), 1)
    FROM {_MESSAGE} WHERE id = ANY(%s) ORDER BY id DESC"""
_FIND_TITLES = f"""
    SELECT c.id, NULL, ts_rank(automate_chat_words(c.title), to_tsquery('simple', %s))
    FROM {_TALK} c
    WHERE automate_chat_words(c.title) @@ to_tsquery('simple', %s)
    AND c.user_id = %s AND c.deleted_at IS NULL
    ORDER BY c.updated_at DESC LIMIT %s"""


class PostgresIndex:
    """Asks the GIN indexes."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection

    def messages(self, user_id: Any, sought: Sought, limit: int) -> list[Match]:
        query = _query(sought)
        found = self._found(_FIND_MESSAGES, [query, user_id, limit])
        if len(found) == limit:  # words that are everywhere: the latest come first
            return found
        return self._found(_RANK_MESSAGES, [query, [each.message_id for each in found]])

    def titles(self, user_id: Any, sought: Sought, limit: int) -> list[Match]:
        query = _query(sought)
        return self._found(_FIND_TITLES, [query, query, user_id, limit])

    def _found(self, sql: str, parameters: list[Any]) -> list[Match]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return [Match(*row) for row in cursor]


def _query(sought: Sought) -> str:
    # Letters, digits and marks alone, each word in quotes: no operator can be among them.
    return " & ".join(f"'{folded(word)}'" for word in sought.words) + ":*" * sought.has_beginning
