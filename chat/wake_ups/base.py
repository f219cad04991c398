"""How wake-ups reach other processes: the one small interface, and the words that it carries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class Channel(StrEnum):
    """What a wake-up is about."""

    NEWS = "automate_news"
    """A turn's log has grown."""

    STOP = "automate_stop"
    """Somebody asked for a turn to be stopped."""


@dataclass(frozen=True, slots=True)
class Word:
    """What another process said; its own words come back to a process too."""

    channel: Channel
    turns: Sequence[str]
    """Their ids, in hexadecimal digits."""


class Carrier(Protocol):
    """Takes words to all processes of the site, and hears theirs."""

    name: str

    def announce(self, channel: Channel, turn_ids: Sequence[UUID]) -> None:
        """Tell the other processes, when the transaction under way is committed.

        Takes a bounded time. Raises nothing but what the transaction itself raises: a word may
        be lost.
        """
        ...

    def words(self) -> Iterator[Word | None]:
        """What is said from now on; `None` first, when it is heard, and in every pause.

        Runs in a thread of its own, over a connection of its own. Raises what the connection
        raises when it is lost.
        """
        ...


def payload(turn_ids: Sequence[UUID]) -> str:
    """The ids as a message holds them."""
    return " ".join(turn_id.hex for turn_id in turn_ids)


def word(channel: str, message: str) -> Word | None:
    """A message as it came; nothing where it is none of ours."""
    try:
        return Word(Channel(channel), message.split())
    except ValueError:
        return None
