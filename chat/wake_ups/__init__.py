"""Wake-ups: they spare readers and running turns the wait until their next look at the rows.

Rows are the truth, a wake-up is a hint and carries a turn's id alone. One that is lost costs the
time until the next look, never an event.
"""

from .base import Channel
from .hub import WakeUps, wake_ups
from .listeners import POLL_SECONDS, ThreadListener

STOP = Channel.STOP

__all__ = ["STOP", "POLL_SECONDS", "ThreadListener", "WakeUps", "wake_ups"]
