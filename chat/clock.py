"""The database's clock, which all processes of a site share, whatever their machines' say.

A lease that one machine writes and another one judges needs one clock: a minute between theirs
would take every turn from a process that is well.
"""

import time
from datetime import UTC, datetime

from django.conf import settings
from django.db import connections
from django.utils import timezone

SECONDS_BETWEEN_LOOKS = 60.0
"""How long it is gone by what the database said last, and by this machine's steady clock."""

_STATEMENTS = {
    "postgresql": "SELECT EXTRACT(EPOCH FROM CLOCK_TIMESTAMP())",
    "mysql": "SELECT UNIX_TIMESTAMP(NOW(6))",
}

_looks: dict[str, tuple[float, float]] = {}
"""For each database, the seconds since 1970 that it said, and the steady clock's at that moment."""


def database_now(alias: str) -> datetime:
    """The time as this database has it, in the form of `timezone.now()`.

    A file of SQLite has the clock of the one machine that it is on.
    """
    look = _looks.get(alias)
    if look is None or time.monotonic() - look[1] > SECONDS_BETWEEN_LOOKS:
        look = _looks[alias] = _look(alias)
    said, at = look
    now = datetime.fromtimestamp(said + time.monotonic() - at, UTC)
    return now if settings.USE_TZ else timezone.make_naive(now, timezone.get_default_timezone())


def _look(alias: str) -> tuple[float, float]:
    connection = connections[alias]
    statement = _STATEMENTS.get(connection.vendor)
    began = time.monotonic()
    if statement is None:
        return time.time(), began
    with connection.cursor() as cursor:
        cursor.execute(statement)
        said = float(cursor.fetchone()[0])
    return said, (began + time.monotonic()) / 2
