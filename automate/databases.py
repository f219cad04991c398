"""The database: from threads that are not there for it, from many at once, in long statements."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from sqlite3 import SQLITE_LIMIT_VARIABLE_NUMBER

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from .sql import begin_directly

# What is done on commit still holds it, and may write.
_line = threading.RLock()
_own = threading.local()


_AT_ONCE = nullcontext()


def in_line(connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
    """Write to SQLite one thread after the other; elsewhere, and in a transaction, at once.

    SQLite has one writer at a time. One that finds another there sleeps before it looks again, for
    up to 100 ms, so that with many threads the database is idle while all of them wait for it.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return _AT_ONCE
    return _AT_ONCE if getattr(_own, "afterwards", None) is not None else _in_line()


@contextmanager
def _in_line() -> Iterator[None]:
    _own.afterwards = []
    try:
        with _line:
            yield
    finally:
        afterwards, _own.afterwards = _own.afterwards, None
        for work in afterwards:
            work()


def out_of_line(work: Callable[[], object]) -> None:
    """Do this now, or as soon as this thread holds the line no more: work that may wait for another
    thread, which may want to write.
    """
    afterwards = getattr(_own, "afterwards", None)
    if afterwards is None:
        work()
    else:
        afterwards.append(work)


@contextmanager
def short_transaction() -> Iterator[None]:
    """`transaction.atomic` for the writes of a turn, which waits for nothing but the database."""
    connection = connections[DEFAULT_DB_ALIAS]
    begin_directly(connection)
    with in_line(connection), transaction.atomic():
        yield


def _after_fork() -> None:
    global _line, _own
    _line, _own = threading.RLock(), threading.local()


os.register_at_fork(after_in_child=_after_fork)


def let_go_of_database() -> None:
    """Give this thread's connection back before a wait for a model, a tool or a server.

    To the pool where the site has one; else it is closed, unless `CONN_MAX_AGE` says that it is
    to be kept. SQLite has none to save, and a transaction under way keeps the one that it has.
    """
    for connection in connections.all(initialized_only=True):
        if connection.vendor != "sqlite" and not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


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
    """Let SQLite take all the parameters that it can; Django 5.2 stops at the 999 of old ones.

    Later ones ask SQLite itself.
    """
    features = connection.features
    if connection.vendor != "sqlite" or not isinstance(type(features).max_query_params, int):
        yield
        return
    assumed = features.max_query_params
    features.max_query_params = connection.connection.getlimit(SQLITE_LIMIT_VARIABLE_NUMBER)
    try:
        yield
    finally:
        features.max_query_params = assumed
