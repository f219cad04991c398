"""Statements that are written once and run many times.

Django writes a statement anew for SQLite each time that it runs, and makes two cursors for it; for
the short ones of a turn that takes longer than SQLite itself.
"""

import re
import sqlite3
from collections.abc import Sequence
from functools import cache
from threading import get_ident
from types import MethodType
from typing import Any

from django.conf import settings
from django.db.backends.sqlite3.base import DatabaseWrapper as SQLite

_PERCENT = re.compile(r"%[s%]?")


class Statement:
    """SQL as Django writes it, with `%s` for each value.

    SQLite is asked past Django's cursors, unless somebody looks on: a wrapper of statements, the
    log of queries that `DEBUG` keeps, or a backend that is built on Django's.
    """

    __slots__ = ("_for_django", "_for_sqlite")

    def __init__(self, sql: str) -> None:
        self._for_django = _PERCENT.sub(lambda found: "%s" if found[0] == "%s" else "%%", sql)
        self._for_sqlite = _PERCENT.sub(lambda found: "?" if found[0] == "%s" else "%", sql)

    def run(self, connection: Any, values: Sequence[Any]) -> Any:
        """The cursor that has run it, which the caller closes.

        Raises:
            django.db.Error: in one of its forms, as from Django's own cursor.
        """
        if not _is_asked_directly(connection):
            cursor = connection.cursor()
            try:
                cursor.execute(self._for_django, values)
            except BaseException:  # raised on
                cursor.close()
                raise
            return cursor
        sqlite = _own_connection(connection)
        try:
            return sqlite.execute(self._for_sqlite, values)
        except sqlite3.Error:
            with connection.wrap_database_errors:
                raise

    def rows(self, connection: Any, values: Sequence[Any]) -> list[Any]:
        """What it selects, or returns of what it has changed.

        Raises:
            django.db.Error: as above.
        """
        cursor = self.run(connection, values)
        try:
            return list(cursor.fetchall())
        except sqlite3.Error:  # of SQLite's own cursor; those of Django's raise Django's
            with connection.wrap_database_errors:
                raise
        finally:
            cursor.close()


def begin_directly(connection: Any) -> None:
    """From now on, have Django begin this connection's transactions likewise.

    Its `BEGIN` goes through two cursors of its own, which takes as long as a statement of the
    transaction. Nothing changes for other databases.
    """
    if type(connection) is SQLite and _BEGINS not in vars(connection):
        setattr(connection, _BEGINS, MethodType(_begin, connection))


_BEGINS = "_start_transaction_under_autocommit"


def _begin(connection: Any) -> None:
    if _is_asked_directly(connection):
        _beginning(connection.transaction_mode).run(connection, []).close()
    else:
        getattr(SQLite, _BEGINS)(connection)


@cache
def _beginning(mode: str | None) -> Statement:
    return Statement(f"BEGIN {mode}" if mode else "BEGIN")


def _is_asked_directly(connection: Any) -> bool:
    return type(connection) is SQLite and not (
        connection.execute_wrappers or connection.force_debug_cursor or settings.DEBUG
    )


def _own_connection(connection: Any) -> Any:
    """SQLite's own connection, where Django lets this one be used now; it checks the same."""
    if connection.connection is None:
        connection.ensure_connection()
    if connection._thread_ident != get_ident():
        connection.validate_thread_sharing()
    if connection.needs_rollback:
        connection.validate_no_broken_transaction()
    return connection.connection
