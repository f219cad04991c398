"""Database connections of threads that wait: many turns, few connections."""

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from automate.conf import conf
from automate.databases import let_go_of_database

__all__ = ["lasting", "let_go_of_database"]

AWAY_SECONDS = 20.0
"""How long a turn waits for the database, where its lease is not shorter."""

# In PostgreSQL's list of codes, and in MariaDB's. An error of the driver's own has no code.
_DEADLOCK, _DEADLOCK_NUMBER = "40P01", 1213
_GOING_AWAY = ("57P01", "57P02", "57P03")
_GONE_NUMBERS = frozenset({1927, 2006, 2013, 2055})

T = TypeVar("T")


def lasting(work: Callable[[], T]) -> T:
    """Do this again while the database is away, up to `AWAY_SECONDS` and never for a whole lease.

    And again where the database took it back to end a deadlock. Returns its result at last.

    It must be a whole transaction, or only read. Where the connection broke in the middle of the
    commit, it may be done twice; `EventLog.commit` is for what must not.
    """
    end = time.monotonic() + min(AWAY_SECONDS, conf().LEASE_SECONDS * 2 / 3)
    pause = 0.05
    while True:
        try:
            return work()
        except (OperationalError, InterfaceError) as exc:
            connection = connections[DEFAULT_DB_ALIAS]
            if connection.in_atomic_block or time.monotonic() > end:
                raise
            if _is_lost(connection) or _tells_a_loss(exc):
                connection.close()
            elif not _ended_a_deadlock(exc):
                raise
            time.sleep(pause)
            pause = min(pause * 2, 1.0)


def _is_lost(connection: BaseDatabaseWrapper) -> bool:
    if connection.vendor == "sqlite":  # a file is not lost; it may be full
        return False
    return connection.connection is None or not connection.is_usable()


def _tells_a_loss(error: Exception) -> bool:
    """Whether the connection broke; at the end of a transaction, Django has a new one by now."""
    state = getattr(error.__cause__, "sqlstate", "")
    if state is None or state.startswith("08") or state in _GOING_AWAY:
        return True
    return not _GONE_NUMBERS.isdisjoint(error.args[:1])


def _ended_a_deadlock(error: Exception) -> bool:
    """Whether the database chose this of two transactions that waited for each other.

    All of it is then undone. MariaDB may take the same two locks of one row in either order: it
    updates by whichever index it holds for the shorter way, the key's or another.
    """
    return _DEADLOCK_NUMBER in error.args or getattr(error.__cause__, "sqlstate", "") == _DEADLOCK
