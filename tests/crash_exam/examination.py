"""A turn for every moment at which a process may die, on one executor and one database."""

import json
import random
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from django.core.management import call_command
from django.utils import timezone

from automate.conf import conf
from chat.models import Approval, ToolCall, Turn

from .moments import count_file, over_file
from .nursery import Nursery
from .peers import Peers
from .rules import Seen, faults_of

SECONDS_TO_SETTLE = 60


@dataclass
class Result:
    """What an examination found."""

    moments: dict[str, int] = field(default_factory=dict)
    died: int = 0
    turns: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Examination:
    """One executor on one database."""

    def __init__(
        self, peers: Peers, person: Any, web: Nursery, worker: Nursery, order_file: Path
    ) -> None:
        self._peers = peers
        self._person = person
        self._web = web
        self._worker = worker
        self._order_file = order_file
        self._result = Result()

    def held(self, step: int, roles: Collection[str]) -> Result:
        """A turn for one moment of `step` of each of these roles, until one passes them all."""
        self._turn("nobody", 0)
        for role in ("web", "worker"):
            if role in roles:
                self._at_every_commit(role, step)
        if "call" in roles:
            self._in_every_call(step)
        return self._result

    def _at_every_commit(self, role: str, step: int) -> None:
        at, died = random.randrange(step), True
        while died:
            at += step
            died = self._turn(role, at)
        self._result.moments[role] = self._moments()

    def _in_every_call(self, step: int) -> None:
        effects = ("mug", "cup", "bill")
        for number in range(random.randrange(step) % len(effects), len(effects), step):
            self._peers.dies_in = effects[number]
            self._turn("call", number + 1)
        self._result.moments["call"] = len(effects)

    def _turn(self, role: str, die_at: int) -> bool:
        """One turn from its message to its end; whether somebody died on the way."""

        submission = uuid4()
        sentence = f"Order two, and let the {role} die at {die_at}"
        order = {"submission": str(submission), "role": role, "die_at": die_at}
        self._order_file.write_text(json.dumps(order))
        count_file(self._order_file).write_bytes(b"")
        over_file(self._order_file).unlink(missing_ok=True)
        self._peers.victim = self._worker.pid if role == "call" else 0
        self._result.turns += 1
        died = self._sent(sentence, submission) is None
        if died:
            self._restart()
            self._sent(sentence, submission)  # the browser says it again
        seen: Seen = {}
        end = time.monotonic() + SECONDS_TO_SETTLE
        while time.monotonic() < end:
            turn = Turn.objects.get(submission=submission)
            self._look(turn, seen)
            is_waiting = turn.status == Turn.Status.WAITING
            # Where turns run in the web process, it may die while it is told what was decided.
            if self._worker.has_died() or (is_waiting and not self._decide(turn)):
                died = True
                self._restart()
            elif turn.finished:
                break
            time.sleep(0.01)
        if role == "worker" and not died:
            died = self._died_after_its_last_commit()
        faults = faults_of(Turn.objects.get(submission=submission), seen, self._peers.effects)
        self._result.faults += [f"{sentence}: {fault}" for fault in faults]
        self._result.died += died
        return died

    def _died_after_its_last_commit(self) -> bool:
        """The turn is over sooner than its process has passed the moment behind that commit."""
        end = time.monotonic() + SECONDS_TO_SETTLE
        while not over_file(self._order_file).exists():
            if self._worker.has_died():
                self._restart()
                return True
            assert time.monotonic() < end, "the worker neither died nor came to an end"
            time.sleep(0.01)
        return False

    def _moments(self) -> int:
        return count_file(self._order_file).stat().st_size

    def _sent(self, sentence: str, submission: UUID) -> dict[str, Any] | None:
        return self._web.told(
            "send",
            user=self._person.get_username(),
            text=sentence,
            submission=str(submission),
        )

    def _look(self, turn: Any, seen: Seen) -> None:
        """Read on in the log, as a browser does."""
        for event in turn.events.filter(seq__gt=max(seen, default=0)).order_by("seq"):
            seen[event.seq] = event.kind, event.data

    def _restart(self) -> None:
        """Let the lease of the dead run out, start the next process, and sweep."""

        running = Turn.objects.filter(status=Turn.Status.RUNNING)
        running.update(lease_until=timezone.now() - timedelta(seconds=1))
        for nursery in {self._web, self._worker}:
            if not nursery.pid:
                nursery.raise_next()
        if conf().EXECUTOR != "thread":
            call_command("recover_turns", verbosity=0)

    def _decide(self, turn: Any) -> bool:
        """What the person says to what the turn waits for; from a page, which may be another's.

        Returns whether the web process lived to answer.
        """

        approval = Approval.objects.waiting().filter(call__turn=turn).first()
        unknown = turn.tool_calls.filter(status=ToolCall.Status.UNKNOWN, resolved_by=None).first()
        if approval is not None:
            return self._web.told("approve", approval=approval.pk) is not None
        if unknown is not None:
            did = self._peers.effects[unknown.arguments["for"], unknown.arguments["what"]]
            outcome = "done" if did else "failed"
            return self._web.told("resolve", call=unknown.pk, outcome=outcome) is not None
        return True
