"""Tool calls, and their changes of state."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q, Subquery
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from automate.fields import ExactCharField
from automate.models import MCPTool, MCPToolVersion
from automate.statements import update_rows

from .conversations import Message
from .turns import Turn


class ToolCallQuerySet(models.QuerySet["ToolCall"]):
    def owned_by(self, user: Any) -> Self:
        """Calls in this person's conversations."""
        return self.filter(turn__conversation__user=user, turn__conversation__deleted_at=None)

    def unfinished(self) -> Self:
        """Calls that have no outcome yet."""
        return self.filter(status__in=ToolCall.UNFINISHED)

    def asked_for_last(self, turn: Turn) -> Self:
        """The calls of this turn's last answer; the model was told of all earlier ones."""
        of_turn = self.filter(turn=turn)
        last = of_turn.order_by("-message_id").values("message_id")[:1]
        return of_turn.filter(message_id=Subquery(last))

    def needing_person(self) -> Self:
        """Calls that let their turn go on by a person's word alone.

        A call of unknown outcome does so in the last answer only: of an earlier one the model has
        been told.
        """
        later = ToolCall.objects.filter(turn=OuterRef("turn"), message__gt=OuterRef("message"))
        unresolved = Q(status=ToolCall.Status.UNKNOWN, resolved_by=None) & ~Exists(later)
        return self.filter(Q(status=ToolCall.Status.WAITING) | unresolved)

    def move(self, to: "ToolCall.Status", **fields: Any) -> int:
        """Change the state of those that may take it, and what belongs to it, by one `UPDATE`.

        Returns how many changed.
        """
        return self.filter(status__in=ToolCall.origins(to)).update(status=to, **fields)


class ToolCall(models.Model):
    """A tool call that the model asked for; the row is there before any request leaves.

    The status changes only by `move`, a compare-and-swap `UPDATE`.
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("Waiting")
        WAITING = "waiting", _("Waiting for you")
        RUNNING = "running", _("Running")
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")
        REFUSED = "refused", _("Not run")
        CANCELLED = "cancelled", _("Stopped")
        UNKNOWN = "unknown", _("Outcome unknown")

    class Permission(models.TextChoices):
        POLICY = "policy", _("The policy")
        GRANT = "grant", _("Allowed earlier")
        PERSON = "person", _("A person")

    UNFINISHED = (Status.PENDING, Status.WAITING, Status.RUNNING)

    WAYS: ClassVar[Mapping[Status, frozenset[Status]]] = {
        # To waiting: where it was allowed, and must be asked about again before it is sent.
        Status.PENDING: frozenset(
            {Status.WAITING, Status.RUNNING, Status.REFUSED, Status.CANCELLED}
        ),
        Status.WAITING: frozenset({Status.PENDING, Status.REFUSED, Status.CANCELLED}),
        # Back to pending: after a crash, where the tool may be called twice.
        Status.RUNNING: frozenset(
            {
                Status.PENDING,
                Status.WAITING,
                Status.SUCCEEDED,
                Status.FAILED,
                Status.CANCELLED,
                Status.UNKNOWN,
            }
        ),
        # By a person's word alone.
        Status.UNKNOWN: frozenset({Status.PENDING, Status.SUCCEEDED, Status.FAILED}),
    }
    """Where each state may lead; the others are final."""

    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="tool_calls")
    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="tool_calls", db_index=False
    )
    tool = models.ForeignKey(
        MCPTool, on_delete=models.SET_NULL, null=True, blank=True, related_name="calls"
    )
    tool_version = models.PositiveIntegerField(_("tool version"), null=True, blank=True)
    call_id = ExactCharField(
        _("call id"), max_length=200, help_text=_("The model's own id for the call.")
    )
    function_name = models.CharField(_("function name"), max_length=200)
    server_name = models.CharField(_("server"), max_length=100, blank=True, default="")
    title = models.CharField(_("title"), max_length=200, blank=True, default="")
    arguments_text = models.TextField(
        _("arguments as written"), blank=True, default="", help_text=_("The model's own text.")
    )
    arguments = models.JSONField(
        _("arguments"),
        null=True,
        blank=True,
        default=None,
        help_text=_("What is sent: the model's, or a person's correction of them."),
    )
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.PENDING
    )
    permission = models.CharField(
        _("permission"),
        max_length=6,
        choices=Permission.choices,
        blank=True,
        default="",
        help_text=_("What lets it be made, or is asked; nothing where it was refused."),
    )
    cost = models.DecimalField(
        _("cost"),
        max_digits=12,
        decimal_places=6,
        default=0,
        help_text=_("Its share of the model's answer that asked for it."),
    )
    attempts = models.PositiveIntegerField(
        _("attempts"), default=0, help_text=_("How often its request was sent.")
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
    question_rounds = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text=_("How often its server asked back.")
    )
    request_state = models.TextField(  # noqa: DJ001  the protocol tells no state from an empty one
        null=True,
        blank=True,
        default=None,
        editable=False,
        help_text=_("The server's own word, returned with the answers."),
    )
    task_id = models.CharField(max_length=200, blank=True, default="", editable=False)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("resolved by"),
        help_text=_("Who said what became of it, where its outcome was unknown."),
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

    def save(
        self,
        *,
        force_insert: bool | tuple[models.base.ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Store a new call, or other fields than its state, which moves by `move` alone.

        Raises:
            ValueError: the state of a stored call would be overwritten.
        """
        if not self._state.adding and (update_fields is None or "status" in update_fields):
            raise ValueError("A call's status changes by its transitions; name update_fields.")
        super().save(
            force_insert=force_insert,
            force_update=force_update,
            using=using,
            update_fields=update_fields,
        )

    @property
    def finished(self) -> bool:
        """Whether its outcome is known, or known to be unknown."""
        return self.status not in self.UNFINISHED

    @property
    def is_unresolved(self) -> bool:
        """Whether nobody knows its outcome, and no person has said what to make of that."""
        return self.status == self.Status.UNKNOWN and self.resolved_by_id is None

    @property
    def version_called(self) -> MCPToolVersion | None:
        """The definition by which it was made; nothing where there was no tool, or is none now."""
        return MCPToolVersion.objects.called(self.tool_id, self.tool_version)

    @property
    def seconds(self) -> float | None:
        """How long it ran; nothing where it did not, or has not ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    @classmethod
    def origins(cls, to: Status) -> tuple[Status, ...]:
        """The states that may lead to this one."""
        return tuple(origin for origin, ways in cls.WAYS.items() if to in ways)

    def move(self, to: Status, **fields: Any) -> bool:
        """Change the state, and what belongs to it; false where the row's has moved on meanwhile.

        What this object holds is what is expected of the row.
        """
        if to not in self.WAYS.get(self.Status(self.status), ()):
            return False
        expected = {"id": self.pk, "status": self.status, "attempts": self.attempts}
        if not update_rows(ToolCall, expected, {"status": to, **fields}):
            return False
        for name, value in {"status": to, **fields}.items():
            setattr(self, name, value)
        return True
