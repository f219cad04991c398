"""Statements that are written once and run many times.

Django writes a statement anew for SQLite each time that it runs, and makes two cursors for it; for
the short ones of a turn that takes longer than SQLite itself.
"""

import re
from collections.abc import Sequence
from typing import Any

from django.db.backends.sqlite3.base import DatabaseWrapper as SQLite

_PERCENT = re.compile(r"%[s%]?")


class Statement:
    """SQL as Django writes it, with `%s` for each value."""

    __slots__ = ("_for_django", "_for_sqlite")

    def __init__(self, sql: str) -> None:
        self._for_django = _PERCENT.sub(lambda found: "%s" if found[0] == "%s" else "%%", sql)
        self._for_sqlite = _PERCENT.sub(lambda found: "?" if found[0] == "%s" else "%", sql)

    def run(self, connection: Any, values: Sequence[Any]) -> Any:
        """The cursor that has run it, which the caller closes.

        SQLite is asked past Django's cursors, unless somebody looks on: a wrapper of statements,
        the log of queries that `DEBUG` keeps, or a backend that is built on Django's.

        Raises:
            django.db.Error: in one of its forms, as from Django's own cursor.
        """
        if type(connection) is not SQLite or _is_looked_at(connection):
            cursor = connection.cursor()
            try:
                cursor.execute(self._for_django, values)
            except BaseException:  # raised on
                cursor.close()
                raise
            return cursor
        connection.ensure_connection()
        connection.validate_thread_sharing()
        connection.validate_no_broken_transaction()
        with connection.wrap_database_errors:
            return connection.connection.execute(self._for_sqlite, values)

    def rows(self, connection: Any, values: Sequence[Any]) -> list[Any]:
        """What it selects, or returns of what it has changed.

        Raises:
            django.db.Error: as above.
        """
        cursor = self.run(connection, values)
        try:
            with connection.wrap_database_errors:
                return list(cursor.fetchall())
        finally:
            cursor.close()


def _is_looked_at(connection: Any) -> bool:
    return bool(connection.execute_wrappers or connection.queries_logged)
