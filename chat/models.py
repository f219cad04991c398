"""Conversations, their messages, the turns that answer them, tool calls and the event log."""

import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from automate.models import MCPTool

from .files import CallFile, StoredFile

__all__ = [
    "CallFile",
    "Conversation",
    "Message",
    "StoredFile",
    "ToolCall",
    "Turn",
    "TurnEvent",
]

LEASE = timedelta(seconds=30)
"""How long a turn belongs to the process that runs it without a sign of life."""


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def owned_by(self, user: Any) -> Self:
        """Conversations of this person; everybody else's do not exist for them."""
        return self.filter(user=user)


class Conversation(models.Model):
    """A person's thread of messages with the assistant."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="conversations"
    )
    title = models.CharField(_("title"), max_length=120, blank=True, default="")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        ordering = ["-updated_at"]
        indexes = [models.Index(fields=["user", "-updated_at"], name="chat_conversation_recent")]

    def __str__(self) -> str:
        return self.title or str(_("New conversation"))


class TurnQuerySet(models.QuerySet["Turn"]):
    def owned_by(self, user: Any) -> Self:
        """Turns in this person's conversations."""
        return self.filter(conversation__user=user)

    def unfinished(self) -> Self:
        """Turns that still have something to do."""
        return self.filter(status__in=Turn.UNFINISHED)

    def abandoned(self) -> Self:
        """Turns whose process gave no sign of life for longer than its lease."""
        return self.filter(status=Turn.Status.RUNNING, lease_until__lt=timezone.now())

    def held_by(self, owners: Iterable[uuid.UUID]) -> Self:
        """Running turns whose lease is one of these."""
        return self.filter(status=Turn.Status.RUNNING, lease_owner__in=owners)

    def renew(self) -> int:
        """Give a sign of life for all of them; returns how many there are."""
        return self.update(lease_until=timezone.now() + LEASE)


class Turn(models.Model):
    """The assistant's work on one message of a person.

    The status changes only by the methods here, each one compare-and-swap `UPDATE`, so that of
    two processes that try the same change one wins.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("Waiting in line")
        RUNNING = "running", _("Answering")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Stopped")
        INTERRUPTED = "interrupted", _("Interrupted")

    UNFINISHED = (Status.QUEUED, Status.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="turns")
    status = models.CharField(
        _("status"), max_length=12, choices=Status.choices, default=Status.QUEUED
    )
    submission = models.UUIDField(
        default=uuid.uuid4,
        unique=True,
        editable=False,
        help_text=_("The browser's own id for what it sent: sent twice, it is one turn."),
    )
    model = models.CharField(_("model"), max_length=100, default="default")
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    lease_owner = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    cancel_requested = models.BooleanField(_("stop requested"), default=False)
    rounds = models.PositiveIntegerField(_("model requests"), default=0)
    prompt_tokens = models.PositiveIntegerField(_("tokens in"), default=0)
    completion_tokens = models.PositiveIntegerField(_("tokens out"), default=0)
    notice = models.CharField(
        _("notice"),
        max_length=500,
        blank=True,
        default="",
        help_text=_("What the person is told about how the turn ended."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    objects = TurnQuerySet.as_manager()

    class Meta:
        verbose_name = _("turn")
        verbose_name_plural = _("turns")
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation"],
                condition=models.Q(status__in=["queued", "running"]),
                name="chat_one_unfinished_turn",
                violation_error_message=_("The assistant is still answering."),
            )
        ]
        indexes = [models.Index(fields=["status", "lease_until"], name="chat_turn_lease")]

    def __str__(self) -> str:
        return f"{self.get_status_display()} ({self.pk})"

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""
        return self.status not in self.UNFINISHED

    def claim(self, owner: uuid.UUID) -> bool:
        """Take a queued turn to run it; false where somebody else has it or it is over."""
        now = timezone.now()
        claimed = Turn.objects.filter(pk=self.pk, status=self.Status.QUEUED).update(
            status=self.Status.RUNNING,
            lease_owner=owner,
            lease_until=now + LEASE,
            started_at=now,
            attempt=F("attempt") + 1,
        )
        return claimed == 1

    def finish(self, owner: uuid.UUID, status: str, notice: str = "") -> bool:
        """End the turn; false where it was no longer ours to end."""
        ended = (
            Turn.objects.held_by([owner])
            .filter(pk=self.pk)
            .update(
                status=status,
                notice=notice[:500],
                lease_owner=None,
                lease_until=None,
                rounds=self.rounds,
                prompt_tokens=self.prompt_tokens,
                completion_tokens=self.completion_tokens,
                finished_at=timezone.now(),
            )
        )
        return ended == 1

    def cancel_queued(self) -> bool:
        """End a turn that nobody has begun; false where somebody has, or it is over."""
        stopped = Turn.objects.filter(pk=self.pk, status=self.Status.QUEUED).update(
            status=self.Status.CANCELLED, cancel_requested=True, finished_at=timezone.now()
        )
        return stopped == 1

    def request_cancel(self) -> bool:
        """Ask the process that runs the turn to stop it; false where nobody runs it."""
        running = Turn.objects.filter(pk=self.pk, status=self.Status.RUNNING)
        return running.update(cancel_requested=True) == 1


class Message(models.Model):
    """One entry of a conversation: what a person wrote, or what the model answered."""

    class Role(models.TextChoices):
        USER = "user", _("You")
        ASSISTANT = "assistant", _("Assistant")

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="messages"
    )
    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="messages")
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)
    content = models.TextField(_("content"), blank=True, default="")
    interrupted = models.BooleanField(
        _("interrupted"), default=False, help_text=_("The model's text ended before its end.")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.content[:60]


class ToolCallQuerySet(models.QuerySet["ToolCall"]):
    def unfinished(self) -> Self:
        """Calls that have no outcome yet."""
        return self.filter(status__in=[ToolCall.Status.PENDING, ToolCall.Status.RUNNING])


class ToolCall(models.Model):
    """A tool call that the model asked for; the row is there before any request leaves."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Waiting")
        RUNNING = "running", _("Running")
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")
        REFUSED = "refused", _("Not run")
        CANCELLED = "cancelled", _("Stopped")
        UNKNOWN = "unknown", _("Outcome unknown")

    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="tool_calls")
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="tool_calls")
    tool = models.ForeignKey(
        MCPTool, on_delete=models.SET_NULL, null=True, blank=True, related_name="calls"
    )
    tool_version = models.PositiveIntegerField(_("tool version"), null=True, blank=True)
    call_id = models.CharField(
        _("call id"), max_length=200, help_text=_("The model's own id for the call.")
    )
    function_name = models.CharField(_("function name"), max_length=200)
    server_name = models.CharField(_("server"), max_length=100, blank=True, default="")
    title = models.CharField(_("title"), max_length=200, blank=True, default="")
    arguments_text = models.TextField(
        _("arguments as written"), blank=True, default="", help_text=_("The model's own text.")
    )
    arguments = models.JSONField(_("arguments"), null=True, blank=True, default=None)
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.PENDING
    )
    result = models.JSONField(
        _("result"), null=True, blank=True, default=None, help_text=_("The whole answer.")
    )
    result_text = models.TextField(
        _("result for the model"),
        blank=True,
        default="",
        help_text=_("Cut at a limit, and marked."),
    )
    error = models.CharField(_("error"), max_length=500, blank=True, default="")
    warning = models.CharField(
        _("warning"),
        max_length=500,
        blank=True,
        default="",
        help_text=_("How the result differs from the tool's own output schema."),
    )
    needs_account = models.BooleanField(
        _("needs an account"),
        default=False,
        help_text=_("The person must connect an account of the server first."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    objects = ToolCallQuerySet.as_manager()

    class Meta:
        verbose_name = _("tool call")
        verbose_name_plural = _("tool calls")
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["message", "call_id"], name="chat_call_once_a_message")
        ]

    def __str__(self) -> str:
        return f"{self.function_name} ({self.get_status_display()})"

    @property
    def finished(self) -> bool:
        """Whether its outcome is known, or known to be unknown."""
        return self.status not in (self.Status.PENDING, self.Status.RUNNING)

    @property
    def seconds(self) -> float | None:
        """How long it ran; nothing where it did not, or has not ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


class TurnEvent(models.Model):
    """One line of a turn's log, which browsers read from any point.

    Kinds and their data: `text` (`message`, `text`), `message` (`message`), `call` (`call`),
    `progress` (`call`, `progress`, `total`, `message`), `status` (`status`), always the last.
    The text of a finished turn stands in its messages; its `text` events are then deleted.
    """

    class Kind(models.TextChoices):
        TEXT = "text"
        MESSAGE = "message"
        CALL = "call"
        PROGRESS = "progress"
        STATUS = "status"

    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["seq"]
        constraints = [
            models.UniqueConstraint(fields=["turn", "seq"], name="chat_event_seq"),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"
