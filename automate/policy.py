"""Whether a person's chat may make a call: allow, ask or deny.

Asked twice: when a model is shown its tools, and again for each call, then with its arguments. Of
all that is said, deny wins, then ask, then allow; where nothing is said, the setting
`APPROVAL_DEFAULT` decides. Which permissions a tool requires is `MCPTool.usable_by`'s to know.
"""

import logging
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any, Self

from django.utils.translation import gettext as _

from automate_llm.exceptions import InvalidArguments, SchemaError, UncheckableArguments
from automate_llm.validation import validate_arguments

from .conf import APPROVAL_DEFAULTS, conf
from .models import MCPTool, ToolRule
from .models.permissions import User
from .policy_hook import Decision, PolicyHook, Verdict

__all__ = ["Decision", "Outline", "Policy", "Verdict", "strongest"]

logger = logging.getLogger(__name__)

_STRENGTH = {Decision.DENY: 2, Decision.ASK: 1, Decision.ALLOW: 0}


@dataclass(frozen=True, slots=True)
class Scope:
    """The tools that some rules are for."""

    everything: bool = False
    servers: Set[int] = frozenset()
    tools: Set[int] = frozenset()

    @classmethod
    def of(cls, rules: Iterable[ToolRule]) -> Self:
        """What these rules are for, all together."""
        listed = list(rules)
        return cls(
            everything=any(rule.tool_id is rule.server_id is None for rule in listed),
            servers={rule.server_id for rule in listed if rule.server_id is not None},
            tools={rule.tool_id for rule in listed if rule.tool_id is not None},
        )

    def has(self, tool_id: int, server_id: int) -> bool:
        """Whether a tool is one of them."""
        return self.everything or tool_id in self.tools or server_id in self.servers


@dataclass(frozen=True, slots=True)
class Outline:
    """Which tools a person is shown, as far as rules tell without looking at each tool."""

    denied: Scope = Scope()
    opened: Scope | None = None
    """Where the default is to deny: the tools of which some call may be let through."""

    def shows(self, tool_id: int, server_id: int) -> bool:
        """Whether a tool is not denied as a whole."""
        is_open = self.opened is None or self.opened.has(tool_id, server_id)
        return is_open and not self.denied.has(tool_id, server_id)


class Policy:
    """What may be called by one person, by the rules as they stand now."""

    def __init__(self, user: User) -> None:
        settings = conf()
        self._default = settings.APPROVAL_DEFAULT
        self._rules = ToolRule.concerning(user)
        self.hook = PolicyHook(settings.POLICY, user) if settings.POLICY else None
        self.outline = self._outline()

    def shows(self, tool: MCPTool) -> bool:
        """Whether some call of this tool may be let through; one that is not shown is never run."""
        return not self._as_a_whole(tool)

    def verdict(self, tool: MCPTool, arguments: Mapping[str, Any]) -> Verdict:
        """What is to happen to a call of this tool."""
        if denied := self._as_a_whole(tool):
            return denied
        said = self._said_by_rules(tool, arguments)
        if self.hook and (opinion := self.hook.asked(tool, arguments)):
            said.append(opinion)
        verdict = strongest(said) or default_verdict(tool, self._default)
        if tool.needs_second_person and verdict.decision == Decision.ALLOW:
            return Verdict(Decision.ASK, _("A second person must approve this tool."))
        return verdict

    def _as_a_whole(self, tool: MCPTool) -> Verdict | None:
        """That the tool is denied whatever the arguments are, where it is."""
        opinion = self.hook.asked(tool, None) if self.hook else None
        said = [] if opinion is None else [opinion]
        said += self._said_by_rules(tool, None)
        denied = [verdict for verdict in said if verdict.decision == Decision.DENY]
        if denied:
            return denied[0]
        opened = self.outline.opened
        if opened is None or said or opened.has(tool.pk, tool.server_id):
            return None
        return Verdict(Decision.DENY)

    def _said_by_rules(self, tool: MCPTool, arguments: Mapping[str, Any] | None) -> list[Verdict]:
        return [
            Verdict(_said_by(rule), rule.note)
            for rule in self._rules
            if rule.tool_id in (None, tool.pk)
            and rule.server_id in (None, tool.server_id)
            and _fits(rule, arguments)
        ]

    def _outline(self) -> Outline:
        denying = [rule for rule in self._rules if _said_by(rule) == Decision.DENY]
        opening = [rule for rule in self._rules if _said_by(rule) != Decision.DENY]
        return Outline(
            denied=Scope.of(rule for rule in denying if rule.argument_schema is None),
            opened=None if may_pass(self._default) else Scope.of(opening),
        )


def may_pass(default: str) -> bool:
    """Whether `APPROVAL_DEFAULT` lets a call through, be it after asking."""
    return default in APPROVAL_DEFAULTS and default != Decision.DENY


def default_verdict(tool: MCPTool, default: str) -> Verdict:
    """What is to happen to a call of which no rule and no hook says anything."""
    if not may_pass(default):
        return Verdict(Decision.DENY)
    if default == "allow" and tool.effect == MCPTool.Effect.DESTRUCTIVE:
        return Verdict(Decision.ASK)
    if default != "annotations":
        return Verdict(Decision(default))
    return Verdict(Decision.ALLOW if tool.reads_only else Decision.ASK)


def strongest(said: Iterable[Verdict]) -> Verdict | None:
    """The word that wins, the first of its kind; nothing where nothing was said."""
    return max(said, key=lambda verdict: _STRENGTH[verdict.decision], default=None)


def _said_by(rule: ToolRule) -> Decision:
    """What a rule says of the calls of somebody whom it concerns: of “only these”, an outsider."""
    return Decision.DENY if rule.decision == Decision.ONLY else Decision(rule.decision)


def _fits(rule: ToolRule, arguments: Mapping[str, Any] | None) -> bool:
    """Whether a rule is for these arguments; where that cannot be known, the careful way.

    A rule for certain arguments says nothing of the tool as a whole.
    """
    if rule.argument_schema is None:
        return True
    if arguments is None:
        return False
    try:
        validate_arguments(rule.argument_schema, dict(arguments))
    except (SchemaError, UncheckableArguments):
        logger.warning("The rule %s could not be held against a call", rule.pk, exc_info=True)
        return rule.decision != Decision.ALLOW
    except InvalidArguments:
        return False
    return True
