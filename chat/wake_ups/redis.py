"""Wake-ups by Redis pub/sub, published when the transaction that writes the event is committed."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import router, transaction

from chat.models import TurnEvent

from .base import Channel, Word, payload, word

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

PUBLISH_SECONDS = 0.5
"""The longest that a writer waits for Redis."""

AWAY_SECONDS = 5.0
"""After a failure nothing is published for so long, so that writers do not wait for each word."""

PAUSE_SECONDS = 0.5
PROBE_SECONDS = 20
"""A connection that says nothing for so long is asked whether it still lives."""


class RedisCarrier:
    """One connection to publish, which all threads share, and one to listen."""

    name = "redis"

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._publisher = self._connected(PUBLISH_SECONDS)
        self._away_until = 0.0
        self._is_away = False

    def announce(self, channel: Channel, turn_ids: Sequence[UUID]) -> None:
        transaction.on_commit(
            partial(self._publish, channel, payload(turn_ids)), using=router.db_for_write(TurnEvent)
        )

    def words(self) -> Iterator[Word | None]:
        with self._connected(PROBE_SECONDS).pubsub(  # type: ignore[no-untyped-call]
            ignore_subscribe_messages=True
        ) as subscription:
            subscription.subscribe(*(channel.value for channel in Channel))
            yield None
            while True:
                message = subscription.get_message(timeout=PAUSE_SECONDS)
                if message is None:
                    subscription.check_health()
                    yield None
                else:
                    yield word(message["channel"], message["data"])

    def _publish(self, channel: Channel, message: str) -> None:
        from redis import RedisError

        if time.monotonic() < self._away_until or not self._lock.acquire(timeout=PUBLISH_SECONDS):
            return
        try:
            self._publisher.publish(channel.value, message)
        except (RedisError, OSError) as exc:
            self._away_until = time.monotonic() + AWAY_SECONDS
            if not self._is_away:
                logger.warning("Redis takes no wake-ups: %s", exc)
            self._is_away = True
        else:
            self._is_away = False
        finally:
            self._lock.release()

    def _connected(self, seconds: float) -> "Redis":
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return Redis.from_url(
            self._url,
            decode_responses=True,
            socket_connect_timeout=min(seconds, 5.0),
            socket_timeout=seconds,
            health_check_interval=PROBE_SECONDS,
            retry=Retry(NoBackoff(), 0),
            max_connections=2,
        )
