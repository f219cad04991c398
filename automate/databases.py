"""The database, from threads that are not there for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections


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
