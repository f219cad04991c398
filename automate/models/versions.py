"""What tools were like: every definition that was seen, and what people said of it."""

import json
from typing import TYPE_CHECKING, Any, Self, cast

from django.conf import settings
from django.db import models
from django.db.models import F, OuterRef, Subquery
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from automate.definitions import Definition, Pinned, definition_hash, pinned

from .frozen import Frozen, FrozenQuerySet
from .reviews import Review

if TYPE_CHECKING:
    from .tools import MCPTool


class MCPToolVersionQuerySet(FrozenQuerySet["MCPToolVersion"]):
    def with_decision(self) -> Self:
        """Versions with `decision`, the last word on them, `decided_by_id` and `decided_at`."""
        last = ToolReview.objects.filter(version=OuterRef("pk")).order_by("-pk")
        return self.annotate(
            decision=Subquery(last.values("decision")[:1]),
            decided_by_id=Subquery(last.values("by_id")[:1]),
            decided_at=Subquery(last.values("at")[:1]),
        )

    def called(self, tool_id: int | None, number: int | None) -> "MCPToolVersion | None":
        """The definition by which a tool was called; nothing where the tool is gone with it."""
        if tool_id is None or number is None:
            return None
        return self.filter(tool=tool_id, number=number).first()

    def approved_of(self, tools: "models.QuerySet[MCPTool] | list[MCPTool]") -> Self:
        """The version of each of these tools that was approved last."""
        return self.filter(tool__in=tools, number=F("tool__approved_version"))


class MCPToolVersion(Frozen):
    """A definition of a tool as it was seen; a call's `tool_version` is the number of one."""

    # The unique constraint below begins with the tool, so that an index of its own is not needed.
    tool = models.ForeignKey(
        "automate.MCPTool",
        on_delete=models.CASCADE,
        related_name="versions",
        db_index=False,
        verbose_name=_("tool"),
    )
    number = models.PositiveIntegerField(_("version"))
    definition_hash = models.CharField(_("hash"), max_length=64)
    definition_text = models.TextField(
        _("definition"), help_text=_("The canonical JSON that the hash is of.")
    )
    trusted = models.BooleanField(
        _("taken over"),
        default=False,
        help_text=_(
            "Used from the start without a review: by a first sync, by a server that may change "
            "its tools, by code, or since it had been approved before."
        ),
    )
    seen_at = models.DateTimeField(_("seen"), default=timezone.now)

    # Only on rows from `with_decision`.
    decision: str | None
    decided_by_id: int | None

    objects = MCPToolVersionQuerySet.as_manager()

    class Meta:
        verbose_name = _("version of an MCP tool")
        verbose_name_plural = _("versions of MCP tools")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["tool", "number"], name="automate_version_of_tool")
        ]

    def __str__(self) -> str:
        return f"{self.tool}, {self.number}"

    @classmethod
    def of(cls, tool: "MCPTool", current: Pinned | None = None) -> "MCPToolVersion":
        """The version that a tool is at, unsaved; `current` is what pins it, if that is known."""
        current = current or pinned(tool.definition())
        trusted = tool.review == Review.APPROVED
        text = current.storable_text
        # By position, which takes Django a third of the time that names take it.
        pinned_as: tuple[Any, ...] = (tool.version, current.hash, text, trusted, tool.changed_at)
        return cls(*(None, tool.pk, *pinned_as))

    @property
    def definition(self) -> Definition:
        """What the tool was; keys stand in alphabetical order."""
        return cast(Definition, json.loads(self.definition_text))

    @property
    def is_intact(self) -> bool:
        """Whether the stored definition still has the hash that it was stored with."""
        return definition_hash(self.definition) == self.definition_hash


class ToolReview(Frozen):
    """Somebody's word on a version of a tool; the last one counts."""

    class Decision(models.TextChoices):
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")

    version = models.ForeignKey(
        MCPToolVersion, on_delete=models.CASCADE, related_name="reviews", verbose_name=_("version")
    )
    decision = models.CharField(_("decision"), max_length=10, choices=Decision.choices)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("by"),
        help_text=_("Empty where code decided, or the account is gone."),
    )
    at = models.DateTimeField(_("at"), default=timezone.now)

    objects = FrozenQuerySet["ToolReview"].as_manager()

    class Meta:
        verbose_name = _("review of a tool")
        verbose_name_plural = _("reviews of tools")
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.get_decision_display()}: {self.version}"
