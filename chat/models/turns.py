"""The assistant's work on messages: turns, and their changes of state."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from django.db import models, router
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from automate.conf import conf
from automate.statements import Plus, insert_rows, update_rows
from chat.clock import database_now

from .conversations import Conversation


def lease() -> timedelta:
    """How long a turn belongs to the process that runs it without a sign of life."""
    return timedelta(seconds=conf().LEASE_SECONDS)


def shared_now() -> datetime:
    """The time by the one clock that all processes look at."""
    return database_now(router.db_for_write(Turn))


class TurnQuerySet(models.QuerySet["Turn"]):
    def owned_by(self, user: Any) -> Self:
        """Turns in this person's conversations."""
        return self.filter(conversation__user=user, conversation__deleted_at=None)

    def unfinished(self) -> Self:
        """Turns that still have something to do."""
        return self.filter(status__in=Turn.UNFINISHED)

    def abandoned(self) -> Self:
        """Turns whose process gave no sign of life for longer than its lease."""
        return self.filter(status=Turn.Status.RUNNING, lease_until__lt=shared_now())

    def held_by(self, owners: Iterable[uuid.UUID]) -> Self:
        """Running turns whose lease is one of these."""
        return self.filter(status=Turn.Status.RUNNING, lease_owner__in=owners)

    def renew(self) -> int:
        """Give a sign of life for all of them; returns how many there are."""
        return self.update(lease_until=shared_now() + lease())

    def move(self, to: "Turn.Status", **fields: Any) -> int:
        """Change the state of those that may take it, and what belongs to it, by one `UPDATE`.

        Returns how many changed.
        """
        if to != Turn.Status.RUNNING:
            fields |= {"lease_owner": None, "lease_until": None}
        if to == Turn.Status.QUEUED:
            fields |= {"submitted_at": timezone.now()}
        if to not in Turn.UNFINISHED:
            fields |= {"occupies": None, "finished_at": timezone.now()}
        origins = [origin for origin, ways in Turn.WAYS.items() if to in ways]
        return self.filter(status__in=origins).update(status=to, **fields)


class Turn(models.Model):
    """The assistant's work on one message of a person.

    The turns of a conversation are a tree: those with the same `parent` stand in each other's
    place, and a conversation shows the path to its `head`. A turn without a message of a person
    goes on where its parent stopped.

    The status changes only by the methods here, each one compare-and-swap `UPDATE`, so that of two
    processes that try the same change one wins.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("Waiting in line")
        RUNNING = "running", _("Answering")
        WAITING = "waiting", _("Waiting for you")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Stopped")
        INTERRUPTED = "interrupted", _("Interrupted")

    UNFINISHED = (Status.QUEUED, Status.RUNNING, Status.WAITING)

    class Limit(models.TextChoices):
        ROUNDS = "rounds", _("Model requests")
        CALLS = "calls", _("Tool calls")
        SAME_CALLS = "same_calls", _("The same call")
        REPAIRS = "repairs", _("Repairs of arguments")
        TOKENS = "tokens", _("Tokens")
        SECONDS = "seconds", _("Seconds")
        LENGTH = "length", _("Length of an answer")

    WAYS: ClassVar[Mapping[Status, frozenset[Status]]] = {
        Status.QUEUED: frozenset({Status.RUNNING, Status.CANCELLED}),
        Status.RUNNING: frozenset(
            {
                Status.QUEUED,
                Status.WAITING,
                Status.DONE,
                Status.FAILED,
                Status.CANCELLED,
                Status.INTERRUPTED,
            }
        ),
        Status.WAITING: frozenset({Status.QUEUED, Status.CANCELLED}),
    }
    """Where each state may lead; the others are final."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="turns")
    parent = models.ForeignKey(
        "self",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="children",
        verbose_name=_("parent"),
        help_text=_("The turn that it follows; empty: it begins the conversation."),
    )
    repeats = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("repeats"),
        help_text=_("The first turn with the same message, of which it is another answer."),
    )
    status = models.CharField(
        _("status"), max_length=12, choices=Status.choices, default=Status.QUEUED
    )
    occupies = models.UUIDField(
        null=True,
        unique=True,
        editable=False,
        help_text=_("Its conversation while it is unfinished: each has one such turn at most."),
    )
    submission = models.UUIDField(
        default=uuid.uuid4,
        unique=True,
        editable=False,
        help_text=_("The browser's own id for what it sent: sent twice, it is one turn."),
    )
    model = models.CharField(_("model"), max_length=100, default="default")
    attempt = models.PositiveIntegerField(
        _("attempt"), default=0, help_text=_("Runs since it last came to a stop in order.")
    )
    lease_owner = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    cancel_requested = models.BooleanField(_("stop requested"), default=False)
    rounds = models.PositiveIntegerField(_("model requests"), default=0)
    repairs = models.PositiveIntegerField(_("repairs of arguments"), default=0)
    seconds_used = models.FloatField(
        _("seconds used"), default=0.0, help_text=_("In runs that ended, waiting not counted.")
    )
    prompt_tokens = models.PositiveIntegerField(_("tokens in"), default=0)
    completion_tokens = models.PositiveIntegerField(_("tokens out"), default=0)
    prompt_characters = models.PositiveBigIntegerField(
        default=0,
        editable=False,
        help_text=_("Of the requests whose tokens were counted, which tells how long a token is."),
    )
    cost = models.DecimalField(
        _("cost"),
        max_digits=12,
        decimal_places=6,
        default=0,
        help_text=_("By the model's prices in the settings, in their currency."),
    )
    trace_parent = models.CharField(
        max_length=55,
        blank=True,
        default="",
        editable=False,
        help_text=_("Where it began, as W3C Trace Context writes it."),
    )
    notice = models.CharField(
        _("notice"),
        max_length=500,
        blank=True,
        default="",
        help_text=_("What the person is told about how the turn ended."),
    )
    limit = models.CharField(
        _("limit"),
        max_length=10,
        choices=Limit.choices,
        blank=True,
        default="",
        help_text=_("Which one ended its use of tools, or its answer."),
    )
    left_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text=_("When another branch was last shown in place of the one that ends with it."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    submitted_at = models.DateTimeField(
        _("submitted"),
        default=timezone.now,
        help_text=_("When its id was last given to the executor."),
    )
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    objects = TurnQuerySet.as_manager()

    class Meta:
        verbose_name = _("turn")
        verbose_name_plural = _("turns")
        ordering = ["created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status="running", lease_owner__isnull=False, lease_until__isnull=False)
                | (~Q(status="running") & Q(lease_owner=None, lease_until=None)),
                name="chat_turn_leased_while_running",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["queued", "running", "waiting"], occupies__isnull=False)
                | (~Q(status__in=["queued", "running", "waiting"]) & Q(occupies=None)),
                name="chat_turn_occupies_while_unfinished",
            ),
        ]
        # Of running turns there are few. With their leases in it, each renewal would change this
        # index, and PostgreSQL then writes all seven of a row anew.
        indexes = [models.Index(fields=["status"], name="chat_turn_status")]

    def __str__(self) -> str:
        return f"{self.get_status_display()} ({self.pk})"

    def save(
        self,
        *,
        force_insert: bool | tuple[models.base.ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Store a new turn, which begins in line; later its state moves by `move` alone.

        Raises:
            ValueError: the state of a stored turn would be overwritten.
        """
        if self._state.adding:
            self._occupy()
        elif update_fields is None or "status" in update_fields:
            raise ValueError("A turn's status changes by its transitions; name update_fields.")
        super().save(
            force_insert=force_insert,
            force_update=force_update,
            using=using,
            update_fields=update_fields,
        )

    def insert(self) -> None:
        """Store a new turn in less than half the time of `save`, without Django's signals."""
        self._occupy()
        insert_rows([self])

    def _occupy(self) -> None:
        self.occupies = None if self.finished else self.conversation_id

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""
        return self.status not in self.UNFINISHED

    @property
    def ended_badly(self) -> bool:
        """Whether the person still lacks the answer."""
        return self.status in (self.Status.FAILED, self.Status.CANCELLED, self.Status.INTERRUPTED)

    @property
    def may_go_on(self) -> bool:
        """Whether another turn can take up what it left: it ended badly, or at a limit."""
        return self.ended_badly or (self.finished and bool(self.limit))

    @classmethod
    def origins(cls, to: Status) -> tuple[Status, ...]:
        """The states that may lead to this one."""
        return tuple(origin for origin, ways in cls.WAYS.items() if to in ways)

    @classmethod
    def arriving(cls, to: Status) -> dict[str, Any]:
        """What a row holds that comes to this state."""
        fields: dict[str, Any] = {"status": to}
        if to != cls.Status.RUNNING:
            fields |= {"lease_owner": None, "lease_until": None}
        if to not in cls.UNFINISHED:
            fields |= {"occupies": None, "finished_at": timezone.now()}
        return fields

    def claim(self, owner: uuid.UUID) -> bool:
        """Take a queued turn to run it; false where somebody else has it or it is over.

        False also where it has left the line since this row was read, and is back by now: what is
        held here is then out of date.
        """
        now = timezone.now()
        return self._move(
            self.Status.QUEUED,
            self.Status.RUNNING,
            {"submitted_at": self.submitted_at},
            lease_owner=owner,
            lease_until=shared_now() + lease(),
            started_at=self.started_at or now,
            attempt=Plus(1),
        )

    def checkpoint(self, owner: uuid.UUID) -> bool:
        """Store what it used so far, and renew the lease; false where it is no longer ours."""
        held = {"id": self.pk, "status": self.Status.RUNNING, "lease_owner": owner}
        used = {"lease_until": shared_now() + lease(), **self._used()}
        return update_rows(Turn, held, used) == 1

    def finish(self, owner: uuid.UUID, status: Status, notice: str = "", limit: str = "") -> bool:
        """End the turn; false where it was no longer ours to end."""
        return self._leave(owner, status, notice=notice[:500], limit=limit)

    def wait(self, owner: uuid.UUID) -> bool:
        """Leave the turn to a person's decision; false where it was stopped, or no longer ours."""
        return self._leave(owner, self.Status.WAITING, attempt=0, cancel_requested=False)

    def requeue(self) -> bool:
        """Put a turn that waited for a person back in line; false where it did not wait."""
        waiting = Turn.objects.filter(pk=self.pk, status=self.Status.WAITING)
        return waiting.move(self.Status.QUEUED) == 1

    def resubmit(self) -> bool:
        """Note that a turn in line is given to the executor once more.

        False where that was done less than a lease ago, or is done by another process now.
        """
        now = timezone.now()
        if self.submitted_at >= now - lease():
            return False
        due = Turn.objects.filter(
            pk=self.pk, status=self.Status.QUEUED, submitted_at=self.submitted_at
        )
        return due.update(submitted_at=now) == 1

    def cancel_idle(self) -> bool:
        """End a turn that nobody runs now; false where somebody does, or it is over."""
        idle = Turn.objects.filter(pk=self.pk).exclude(status=self.Status.RUNNING)
        return idle.move(self.Status.CANCELLED, cancel_requested=True) == 1

    def request_cancel(self) -> bool:
        """Ask the process that runs the turn to stop it; false where nobody runs it."""
        running = Turn.objects.filter(pk=self.pk, status=self.Status.RUNNING)
        return running.update(cancel_requested=True) == 1

    def _leave(self, owner: uuid.UUID, status: Status, **fields: Any) -> bool:
        held: dict[str, Any] = {"lease_owner": owner}
        if status == self.Status.WAITING:
            held["cancel_requested"] = False
        return self._move(self.Status.RUNNING, status, held, **self._used(), **fields)

    def _move(
        self, origin: Status, to: Status, where: Mapping[str, Any] | None = None, **fields: Any
    ) -> bool:
        """What `TurnQuerySet.move` does, for this turn alone and from one state."""
        if to not in self.WAYS.get(origin, ()):
            return False
        expected = {"id": self.pk, "status": origin, **(where or {})}
        return update_rows(Turn, expected, {**self.arriving(to), **fields}) == 1

    def _used(self) -> dict[str, Any]:
        return {
            "rounds": self.rounds,
            "repairs": self.repairs,
            "seconds_used": self.seconds_used,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "prompt_characters": self.prompt_characters,
            "cost": self.cost,
        }
