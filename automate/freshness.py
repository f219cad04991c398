"""When a server's list has to be asked for again, by the server's own word."""

from datetime import datetime, timedelta
from random import SystemRandom

from django.utils import timezone

RETRY_AFTER = timedelta(minutes=5)
"""How long a server rests that was due and could not be asked."""
LEAST = timedelta(minutes=5)
"""A list is not asked for again before, since some servers call every list stale at once."""
_SPREAD = 0.1

_random = SystemRandom()


def due_at(ttl: float | None) -> datetime | None:
    """When a list is due that may be taken for fresh for `ttl` seconds; never without a word.

    Up to a tenth later, so that servers with the same word are not all asked at once.
    Source: MCP 2026-07-28, server/utilities/caching.
    """
    if ttl is None:
        return None
    fresh = max(timedelta(seconds=ttl), LEAST)
    return timezone.now() + fresh * (1 + _random.uniform(0, _SPREAD))
