"""A conversation's turns as the tree that they are: what follows what, and what stands beside it.

One query, however long the conversation is; the rest is walking. A branch is the path from the
first turn to one without followers.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Self
from uuid import UUID

from automate.compiled import CompiledQuery, Place

from .models import Conversation, Turn


class Knot(NamedTuple):
    """What the tree needs of a turn."""

    pk: UUID
    parent: UUID | None
    repeats: UUID | None
    created_at: datetime
    left_at: datetime | None

    @classmethod
    def of(cls, turn: Turn) -> Self:
        """What a row that is at hand tells."""
        return cls(turn.pk, turn.parent_id, turn.repeats_id, turn.created_at, turn.left_at)

    @property
    def message(self) -> UUID:
        """The first turn with its message."""
        return self.repeats or self.pk

    @property
    def shown_at(self) -> datetime:
        """When a branch that ends with it was last shown, as far as that is over."""
        return self.left_at or self.created_at


_knots: CompiledQuery[tuple[UUID, UUID | None, UUID | None, datetime, datetime | None]] = (
    CompiledQuery(
        lambda: (
            Turn.objects.filter(conversation_id=Place(Conversation, "pk", "conversation"))
            .order_by("created_at", "pk")
            .values_list("pk", "parent_id", "repeats_id", "created_at", "left_at")
        )
    )
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several things in the same place, and the turns that show those beside it."""

    number: int
    count: int
    previous: UUID | None
    next: UUID | None


class TurnTree:
    """The turns of one conversation, in the order in which they were made."""

    def __init__(self, knots: Iterable[Knot]) -> None:
        self._knots = {knot.pk: knot for knot in knots}
        self._followers: defaultdict[UUID | None, list[Knot]] = defaultdict(list)
        for knot in self._knots.values():
            self._followers[knot.parent].append(knot)

    @classmethod
    def of(cls, conversation_id: UUID) -> Self:
        """As the rows stand now."""
        return cls(Knot(*row) for row in _knots.rows(conversation=conversation_id))

    def __contains__(self, turn: UUID | None) -> bool:
        return turn in self._knots

    def path(self, turn: UUID | None) -> list[UUID]:
        """From the first turn to this one."""
        path = []
        while turn is not None and turn in self._knots:
            path.append(turn)
            turn = self._knots[turn].parent
        return path[::-1]

    def newest(self) -> UUID | None:
        """The turn that was made last."""
        return next(reversed(self._knots), None)

    def last_shown(self, *turns: UUID) -> UUID:
        """The end of the branch through one of these that was shown last."""
        ends, left = [], [self._knots[turn] for turn in turns]
        while left:
            knot = left.pop()
            followers = self._followers.get(knot.pk)
            if followers:
                left.extend(followers)
            else:
                ends.append(knot)
        return max(ends, key=lambda knot: knot.shown_at).pk

    def beside(self, turn: UUID) -> list[UUID]:
        """The turns with the same parent, this one among them."""
        return [knot.pk for knot in self._followers[self._knots[turn].parent]]

    def answer(self, turn: UUID) -> Choice | None:
        """Which answer to its message it is; nothing where there is but one."""
        return self._choice(turn, [[each] for each in self._answers(turn)])

    def message(self, turn: UUID) -> Choice | None:
        """Which of the messages in its place it answers; nothing where there is but one."""
        groups: defaultdict[UUID, list[UUID]] = defaultdict(list)
        for each in self.beside(turn):
            groups[self._knots[each].message].append(each)
        return self._choice(turn, list(groups.values()))

    def _answers(self, turn: UUID) -> list[UUID]:
        message = self._knots[turn].message
        return [each for each in self.beside(turn) if self._knots[each].message == message]

    def _choice(self, turn: UUID, places: list[list[UUID]]) -> Choice | None:
        if len(places) < 2:
            return None
        at = next(number for number, place in enumerate(places) if turn in place)
        return Choice(
            number=at + 1,
            count=len(places),
            previous=self.last_shown(*places[at - 1]) if at else None,
            next=self.last_shown(*places[at + 1]) if at + 1 < len(places) else None,
        )
