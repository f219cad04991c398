"""The audit of tool calls: rows that are added and never changed."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from automate.models import MCPTool
from automate.models.frozen import Frozen, FrozenQuerySet

from .calls import ToolCall

_DELETED_AT_ONCE = 5_000


class CallRecordQuerySet(FrozenQuerySet["CallRecord"]):
    """Records go by their age alone, all of a time."""

    def since(self, moment: datetime) -> Self:
        """Those of this moment and later."""
        return self.filter(created_at__gte=moment)

    def delete_before(self, moment: datetime) -> int:
        """Delete all that are older than this, some at a time; returns how many there were."""
        deleted = 0
        while True:
            oldest = self.filter(created_at__lt=moment).order_by("created_at", "pk")
            keys = list(oldest.values_list("pk", flat=True)[:_DELETED_AT_ONCE])
            if not keys:
                return deleted
            deleted += models.QuerySet.delete(self.filter(pk__in=keys))[0]


class CallRecord(Frozen):
    """One outcome of a tool call, as it was when it came about.

    It stands by itself: conversations, tools and people may go, and what it says of them stays. A
    call has several where its outcome was unknown first. Its arguments are those that were sent,
    without what looks secret, and cut where they are long.
    """

    class Origin(models.TextChoices):
        CHAT = "chat", _("Chat")
        TRIAL = "trial", _("Tried in the admin")
        REPLAY = "replay", _("Run again in the admin")

    origin = models.CharField(
        _("origin"), max_length=6, choices=Origin.choices, default=Origin.CHAT
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("user"),
    )
    user_name = models.CharField(_("user name"), max_length=200)
    conversation = models.UUIDField(_("conversation"), null=True, blank=True)
    call = models.PositiveBigIntegerField(
        _("call"), null=True, blank=True, help_text=_("The key of its row in the conversation.")
    )
    tool = models.ForeignKey(
        MCPTool,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="records",
        db_index=False,
        verbose_name=_("tool"),
    )
    server_name = models.CharField(_("server"), max_length=100, blank=True, default="")
    tool_name = models.CharField(_("tool's name"), max_length=200)
    tool_version = models.PositiveIntegerField(_("tool version"), null=True, blank=True)
    arguments = models.JSONField(_("arguments"), null=True, blank=True, default=None)
    outcome = models.CharField(_("outcome"), max_length=10, choices=ToolCall.Status.choices)
    error = models.CharField(_("error"), max_length=500, blank=True, default="")
    milliseconds = models.PositiveIntegerField(
        _("milliseconds"), null=True, blank=True, help_text=_("Nothing where it was never sent.")
    )
    result_characters = models.PositiveIntegerField(
        _("size of the result"), default=0, help_text=_("Characters that the model was given.")
    )
    cost = models.DecimalField(
        _("cost"),
        max_digits=12,
        decimal_places=6,
        default=0,
        help_text=_("Its share of the model's answer that asked for it, by the model's prices."),
    )
    permission = models.CharField(
        _("permission"),
        max_length=6,
        choices=ToolCall.Permission.choices,
        blank=True,
        default="",
        help_text=_("What let it be made, or was asked about it."),
    )
    decision = models.CharField(
        _("decision"),
        max_length=300,
        blank=True,
        default="",
        help_text=_("Who decided what, where a person was asked."),
    )
    submission = models.UUIDField(
        null=True,
        blank=True,
        editable=False,
        help_text=_("The admin page's own id for what it sent: sent twice, it is run once."),
    )
    created_at = models.DateTimeField(_("recorded"), default=timezone.now)

    objects = CallRecordQuerySet.as_manager()

    class Meta:
        verbose_name = _("tool call on record")
        verbose_name_plural = _("tool calls on record")
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["tool", "-created_at"], name="chat_record_tool"),
            # Holds all that the dashboard reads of the last calls.
            models.Index(
                fields=["created_at", "tool", "outcome", "milliseconds"], name="chat_record_time"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["submission", "outcome"], name="chat_record_once_a_submission"
            )
        ]
        permissions = [
            ("export_callrecord", _("Can export tool calls on record")),
            ("try_tool", _("Can try a tool, and run a call again, in the admin")),
        ]

    def __str__(self) -> str:
        return f"{self.tool_name} ({self.get_outcome_display()})"


class Dashboard(CallRecord):
    """No rows of its own: an entry of the admin, and the permission to look at it."""

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = _("dashboard")
        verbose_name_plural = _("Dashboard")
