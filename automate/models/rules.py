"""What operators say on who may call which tools, and when somebody is asked first."""

from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from automate.validators import validate_argument_schema

from .servers import MCPServer
from .tools import MCPTool


class ToolRuleQuerySet(models.QuerySet["ToolRule"]):
    def concerning(self, user: Any) -> Self:
        """Rules for everybody, for this person, and for the groups that the person is in."""
        everybody = Q(user=None, group=None)
        return self.filter(everybody | Q(user_id=user.pk) | Q(group__user=user.pk)).distinct()


class ToolRule(models.Model):
    """Allow, ask or deny calls of some tools by some people.

    Of the rules that concern a call, deny wins, then ask, then allow.
    """

    class Decision(models.TextChoices):
        ALLOW = "allow", _("Allow")
        ASK = "ask", _("Ask first")
        DENY = "deny", _("Deny")

    server = models.ForeignKey(
        MCPServer,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="rules",
        verbose_name=_("server"),
        help_text=_("All its tools. With neither server nor tool: all tools."),
    )
    tool = models.ForeignKey(
        MCPTool,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="rules",
        verbose_name=_("tool"),
    )
    group = models.ForeignKey(
        Group,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("group"),
        help_text=_("With neither group nor user: everybody."),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("user"),
    )
    decision = models.CharField(_("decision"), max_length=5, choices=Decision.choices)
    argument_schema = models.JSONField(
        _("only for arguments that fit"),
        null=True,
        blank=True,
        default=None,
        validators=[validate_argument_schema],
        help_text=_(
            "A JSON Schema; the rule is for calls whose arguments fit it. Empty: for all of them."
        ),
    )
    note = models.CharField(
        _("note"),
        max_length=300,
        blank=True,
        default="",
        help_text=_("Why; people see it where they are asked or denied."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    objects = ToolRuleQuerySet.as_manager()

    class Meta:
        verbose_name = _("tool rule")
        verbose_name_plural = _("tool rules")
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(server=None) | Q(tool=None), name="automate_rule_server_or_tool"
            ),
            models.CheckConstraint(
                condition=Q(user=None) | Q(group=None), name="automate_rule_user_or_group"
            ),
        ]

    def __str__(self) -> str:
        what = self.tool or self.server or _("all tools")
        who = self.user or self.group or _("everybody")
        return f"{self.get_decision_display()}: {what}, {who}"
