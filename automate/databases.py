"""The database, from threads that are not there for it, and in statements of any length."""

from collections.abc import Iterator
from contextlib import contextmanager
from sqlite3 import SQLITE_LIMIT_VARIABLE_NUMBER

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper


@contextmanager
def briefly_connected(alias: str) -> Iterator[None]:
    """Use the database; a thread that had no connection before, such as a tool call's, has none
    afterwards.
    """
    connection = connections[alias]
    was_open = connection.connection is not None
    try:
        yield
    finally:
        if not was_open:
            connection.close()


@contextmanager
def statements_of_any_length(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let SQLite take all the parameters that it can; Django 5.2 stops at the 999 of old ones."""
    if connection.vendor != "sqlite":
        yield
        return
    features = connection.features
    assumed = features.max_query_params
    features.max_query_params = connection.connection.getlimit(SQLITE_LIMIT_VARIABLE_NUMBER)
    try:
        yield
    finally:
        features.max_query_params = assumed
