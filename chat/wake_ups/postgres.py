"""Wake-ups by PostgreSQL's NOTIFY, which goes out with the transaction that writes the event."""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connections, router

from chat.models import TurnEvent

from .base import Channel, Word, payload, word

logger = logging.getLogger(__name__)

IDS_AT_ONCE = 200
"""PostgreSQL takes 8,000 bytes in one notification."""

PAUSE_SECONDS = 0.5
PROBE_SECONDS = 20.0
"""A connection that says nothing for so long is asked whether it still lives."""


class PostgresCarrier:
    """Listens on a connection of its own, which a pool that shares connections cannot give."""

    name = "postgres"

    def announce(self, channel: Channel, turn_ids: Sequence[UUID]) -> None:
        connection = connections[router.db_for_write(TurnEvent)]
        try:
            with connection.cursor() as cursor:
                for start in range(0, len(turn_ids), IDS_AT_ONCE):
                    ids = payload(turn_ids[start : start + IDS_AT_ONCE])
                    cursor.execute("SELECT pg_notify(%s, %s)", [channel.value, ids])
        except DatabaseError as exc:
            if connection.in_atomic_block:
                raise  # the transaction is lost with it, and what it wrote
            logger.warning("PostgreSQL took no notification: %s", exc)

    def words(self) -> Iterator[Word | None]:
        import psycopg

        with psycopg.connect(**_parameters(), autocommit=True) as connection:
            for channel in Channel:
                connection.execute(f"LISTEN {channel.value}")
            yield None
            heard = time.monotonic()
            while True:
                for notice in connection.notifies(timeout=PAUSE_SECONDS, stop_after=1):
                    heard = time.monotonic()
                    yield word(notice.channel, notice.payload)
                yield None
                if time.monotonic() - heard > PROBE_SECONDS:
                    connection.execute("SELECT 1")
                    heard = time.monotonic()


def _parameters() -> dict[str, Any]:
    """How Django would connect, but for what only its own cursors understand."""
    found = connections[router.db_for_write(TurnEvent)].get_connection_params()
    for ours in ("cursor_factory", "context", "pool", "prepare_threshold"):
        found.pop(ours, None)
    return dict(found) | {"connect_timeout": 5}
