"""The index of words in SQLite: FTS5 tables, which triggers keep, so that no writer can forget it.

Messages are indexed where they stand. Titles are kept by the id of their conversation, which is a
word of the index as well: the rows of that table have no number that would last.
"""

from typing import Any

from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from chat.models import Conversation, Message

from .base import Match, Sought

MESSAGES = "automate_chat_message_words"
TITLES = "automate_chat_title_words"

_WORDS = "unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'"
_OPTIONS = f"prefix='2 3', tokenize=\"{_WORDS}\""
_MESSAGE, _TALK = Message._meta.db_table, Conversation._meta.db_table
_NEW_MESSAGE = f"INSERT INTO {MESSAGES} (rowid, content) VALUES (new.id, new.content);"
_OLD_MESSAGE = (
    f"INSERT INTO {MESSAGES} ({MESSAGES}, rowid, content) VALUES ('delete', old.id, old.content);"
)
_NEW_TITLE = f"INSERT INTO {TITLES} (conversation, title) VALUES (new.id, new.title);"
_OLD_TITLE = (
    f"DELETE FROM {TITLES} WHERE rowid IN (SELECT rowid FROM {TITLES} "
    f"WHERE {TITLES} MATCH 'conversation : \"' || old.id || '\"');"
)

_TABLES = {
    MESSAGES: f"content, content='{_MESSAGE}', content_rowid='id', {_OPTIONS}",
    TITLES: f"conversation, title, {_OPTIONS}",
}
# A round of tools alone has a message without a word. Who changes a trigger gives it another name:
# by the names, `migrate` sees that an index was made by an earlier version.
_HAD_WORDS, _HAS_WORDS = "WHEN old.content <> ''", "WHEN new.content <> ''"
_TRIGGERS = {
    f"{MESSAGES}_insert": f"AFTER INSERT ON {_MESSAGE} {_HAS_WORDS} BEGIN {_NEW_MESSAGE} END",
    f"{MESSAGES}_delete": f"AFTER DELETE ON {_MESSAGE} {_HAD_WORDS} BEGIN {_OLD_MESSAGE} END",
    f"{MESSAGES}_before_update": (
        f"BEFORE UPDATE OF id, content ON {_MESSAGE} {_HAD_WORDS} BEGIN {_OLD_MESSAGE} END"
    ),
    f"{MESSAGES}_after_update": (
        f"AFTER UPDATE OF id, content ON {_MESSAGE} {_HAS_WORDS} BEGIN {_NEW_MESSAGE} END"
    ),
    f"{TITLES}_new": f"AFTER INSERT ON {_TALK} BEGIN {_NEW_TITLE} END",
    f"{TITLES}_old": f"AFTER DELETE ON {_TALK} BEGIN {_OLD_TITLE} END",
    f"{TITLES}_changed": (
        f"AFTER UPDATE OF id, title ON {_TALK} BEGIN {_OLD_TITLE} {_NEW_TITLE} END"
    ),
}

# What says how rare the words are, and so the rank, reads all matches of everybody.
_RANK = f"-bm25({MESSAGES})"
_FIND_MESSAGES = f"""
    SELECT m.conversation_id, m.id, %s
    FROM {MESSAGES} JOIN {_MESSAGE} m ON m.id = {MESSAGES}.rowid
    JOIN {_TALK} c ON c.id = m.conversation_id
    WHERE {MESSAGES} MATCH %%s AND c.user_id = %%s AND c.deleted_at IS NULL
    ORDER BY {MESSAGES}.rowid DESC LIMIT %%s"""
_FIND_TITLES = f"""
    SELECT c.id, NULL, -bm25({TITLES})
    FROM {TITLES} JOIN {_TALK} c ON c.id = {TITLES}.conversation
    WHERE {TITLES} MATCH %s AND c.user_id = %s AND c.deleted_at IS NULL
    ORDER BY c.updated_at DESC LIMIT %s"""


class SQLiteIndex:
    """Asks the FTS5 tables."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection

    def messages(self, user_id: Any, sought: Sought, limit: int) -> list[Match]:
        query = _query(sought)
        found = self._found(_FIND_MESSAGES % "0.0", query, user_id, limit)
        if len(found) == limit:  # words that are everywhere: the latest come first
            return found
        return self._found(_FIND_MESSAGES % _RANK, query, user_id, limit)

    def titles(self, user_id: Any, sought: Sought, limit: int) -> list[Match]:
        return self._found(_FIND_TITLES, f"title : ({_query(sought)})", user_id, limit)

    def _found(self, sql: str, query: str, user_id: Any, limit: int) -> list[Match]:
        to_python = Conversation._meta.pk.to_python
        with self._connection.cursor() as cursor:
            cursor.execute(sql, [query, user_id, limit])
            return [Match(to_python(talk), message, score) for talk, message, score in cursor]


def _query(sought: Sought) -> str:
    # Letters, digits and marks alone, each word in quotes: no operator can be among them.
    return " AND ".join(f'"{word}"' for word in sought.words) + "*" * sought.has_beginning


def has_index(connection: BaseDatabaseWrapper) -> bool:
    """Whether this SQLite was built with FTS5, as nearly all are."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_compileoption_used('ENABLE_FTS5')")
        return bool(cursor.fetchone()[0])


def keep_index(using: str, **kwargs: Any) -> None:
    """Make the index, or whatever of it is missing, after each run of `migrate`.

    Not by a migration: where one makes a table anew, which is how SQLite changes a column, the
    table's triggers are gone.
    """
    connection = connections[using]
    if connection.vendor != "sqlite" or not router.allow_migrate_model(using, Message):
        return
    if not has_index(connection):
        return
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'trigger')")
        there = dict(cursor.fetchall())
        if not {_MESSAGE, _TALK} <= there.keys():  # migrated back to nothing
            for table in _TABLES:
                cursor.execute(f"DROP TABLE IF EXISTS {table}")
        elif not {*_TABLES, *_TRIGGERS} <= there.keys():
            _make(cursor, [name for name in there if there[name] == "trigger"])


def _make(cursor: Any, triggers: list[str]) -> None:
    for name in triggers:
        if name.startswith((f"{MESSAGES}_", f"{TITLES}_")):  # of an earlier version too
            cursor.execute(f"DROP TRIGGER {name}")
    for name, columns in _TABLES.items():
        cursor.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS {name} USING fts5({columns})")
    for name, trigger in _TRIGGERS.items():
        cursor.execute(f"CREATE TRIGGER {name} {trigger}")
    cursor.execute(f"INSERT INTO {MESSAGES} ({MESSAGES}) VALUES ('delete-all')")
    cursor.execute(
        f"INSERT INTO {MESSAGES} (rowid, content) "  # noqa: S608 # own names
        f"SELECT id, content FROM {_MESSAGE} WHERE content <> ''"
    )
    cursor.execute(f"DELETE FROM {TITLES}")
    cursor.execute(f"INSERT INTO {TITLES} (conversation, title) SELECT id, title FROM {_TALK}")
