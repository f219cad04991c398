"""Database connections of threads that wait: many turns, few connections."""

from django.db import connections


def let_go_of_database() -> None:
    """Give this thread's connection back before a wait for a model or a tool.

    To the pool where the site has one; else it is closed, unless `CONN_MAX_AGE` says that it is
    to be kept. SQLite has none to save.
    """
    for connection in connections.all(initialized_only=True):
        if connection.vendor != "sqlite":
            connection.close_if_unusable_or_obsolete()
