"""What operators say on who may call which tools, and when somebody is asked first."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Self, cast

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from automate.compiled import CompiledQuery, Place
from automate.definitions import schema_problem
from automate.rule_schemas import loopholes, misspellings

from .permissions import User
from .servers import MCPServer
from .tools import MCPTool


class ToolRuleQuerySet(models.QuerySet["ToolRule"]):
    def of_tools_for_everybody(self, tools: Iterable[MCPTool]) -> Self:
        """What is said of all calls of these very tools, by whomever."""
        return self.filter(
            tool__in=list(tools), user=None, group=None, argument_schema__isnull=True
        )

    def stricter_than(self, decision: "ToolRule.Decision", tools: Iterable[MCPTool]) -> Self:
        """Rules for some calls of these tools that win over this decision."""
        listed = list(tools)
        concerned = (
            Q(tool__in=listed)
            | Q(server__in={tool.server_id for tool in listed})
            | Q(tool=None, server=None)
        )
        weaker = {ToolRule.Decision.ALLOW, decision}
        return self.filter(concerned).exclude(decision__in=weaker)

    def decide_for_everybody(self, tools: Sequence[MCPTool], decision: "ToolRule.Decision") -> int:
        """From now on this is what is said of all calls of each of these tools.

        Rules for their servers, for some people or for some arguments stay. Returns how many tools.
        """
        with transaction.atomic(using=self.db):
            self.of_tools_for_everybody(tools).delete()
            self.bulk_create([ToolRule(tool=tool, decision=decision) for tool in tools])
        return len(tools)


class ToolRule(models.Model):
    """Allow, ask or deny calls of some tools by some people, all or those with some arguments.

    Of the rules that concern a call, deny wins, then ask, then allow.
    """

    class Decision(models.TextChoices):
        ALLOW = "allow", _("Allow")
        ASK = "ask", _("Ask first")
        DENY = "deny", _("Deny")
        ONLY = "only", _("Only these may")

    server = models.ForeignKey(
        MCPServer,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="rules",
        verbose_name=_("server"),
        help_text=_("All its tools, also later ones. With neither server nor tool: all tools."),
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
        help_text=_("All its members. With neither group nor user: everybody."),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("user"),
    )
    decision = models.CharField(
        _("decision"),
        max_length=5,
        choices=Decision.choices,
        help_text=_(
            "Of all rules for a call, deny wins, then ask, then allow. Whoever is denied all calls "
            "of a tool does not see it. “Only these may” denies the calls of everybody whom no "
            "such rule for them names, and lets nobody through by itself."
        ),
    )
    argument_schema = models.JSONField(
        _("only for arguments that fit"),
        null=True,
        blank=True,
        default=None,
        help_text=_(
            "A JSON Schema: the rule is for calls whose arguments fit it. Empty: for all calls. "
            'Up to 50: {"properties": {"amount": {"type": "number", "maximum": 50}}, '
            '"required": ["amount"]}. Above 50: "exclusiveMinimum" instead of "maximum".'
        ),
    )
    note = models.CharField(
        _("note"),
        max_length=300,
        blank=True,
        default="",
        help_text=_("Why. People and the model see it where they are asked or denied."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    objects = ToolRuleQuerySet.as_manager()

    class Meta:
        verbose_name = _("tool rule")
        verbose_name_plural = _("tool rules")
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(server=None) | Q(tool=None),
                name="automate_rule_server_or_tool",
                violation_error_message=_("Choose a server or one tool, not both."),
            ),
            models.CheckConstraint(
                condition=Q(user=None) | Q(group=None),
                name="automate_rule_user_or_group",
                violation_error_message=_("Choose a group or one person, not both."),
            ),
        ]

    def __str__(self) -> str:
        what = self.tool or self.server or _("all tools")
        who = self.user or self.group or _("everybody")
        return f"{self.get_decision_display()}: {what}, {who}"

    @classmethod
    def concerning(cls, user: User) -> list["ToolRule"]:
        """Rules for everybody, for this person, and for the groups that the person is in.

        And of rules that say whose calls alone are let through, those that name other people only.
        One query, and a second where there are rules for groups: a join over the members of large
        groups costs more.
        """
        if user.pk is None:
            rules = list(cls.objects.filter(Q(user=None) | Q(decision=cls.Decision.ONLY)))
        else:
            rules = _naming.rows(user=user.pk)
        groups: set[int | None] = {None}
        if any(rule.group_id for rule in rules):
            groups.update(cast(PermissionsMixin, user).groups.values_list("pk", flat=True))
        only = cls.Decision.ONLY
        named = [r for r in rules if r.group_id in groups and r.user_id in (None, user.pk)]
        let_in = {rule.reach for rule in named if rule.decision == only}
        shut_out = [r for r in rules if r.decision == only and r.reach not in let_in]
        return [rule for rule in named if rule.decision != only] + shut_out

    @property
    def reach(self) -> tuple[int | None, int | None, str]:
        """Which calls it is for, whosever they are."""
        return self.server_id, self.tool_id, json.dumps(self.argument_schema, sort_keys=True)

    def clean(self) -> None:
        """Refuse what contradicts itself, or would be for other calls than its operator means."""
        if self.argument_schema == {}:
            self.argument_schema = None
        errors: dict[str, Any] = {}
        if self.server_id and self.tool_id:
            errors["tool"] = _("Choose a server or one tool, not both.")
        if self.group_id and self.user_id:
            errors["user"] = _("Choose a group or one person, not both.")
        if self.decision == self.Decision.ONLY and not self.group_id and not self.user_id:
            errors["group"] = _("Choose the group or the person who may.")
        if problems := self.argument_problems():
            errors["argument_schema"] = problems
        if errors:
            raise ValidationError(errors)

    def argument_problems(self) -> list[str]:
        """Why the rule cannot be held against arguments, or is for others than it seems to be."""
        if self.argument_schema is None:
            return []
        if not isinstance(self.argument_schema, dict):
            return [gettext("Write a JSON Schema: an object.")]
        if problem := schema_problem(self.argument_schema):
            return [problem]
        found = list(misspellings(self.argument_schema))
        if self.decision == self.Decision.ALLOW:
            found += loopholes(self.argument_schema)
        return found


_naming = CompiledQuery(
    lambda: ToolRule.objects.filter(
        Q(user=None)
        | Q(user_id=Place(get_user_model(), "pk", "user"))
        | Q(decision=ToolRule.Decision.ONLY)
    )
)
