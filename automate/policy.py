"""Whether a person's chat may make a call: allow, ask or deny.

The same rules are asked twice: when a model is shown its tools, and again for each call, then with
its arguments. Of all that is said, deny wins, then ask, then allow; where nothing is said, the
setting `APPROVAL_DEFAULT` decides.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.utils.translation import gettext as _

from automate_llm.exceptions import InvalidArguments, SchemaError
from automate_llm.validation import validate_arguments

from .conf import conf
from .models import MCPTool, ToolRule

logger = logging.getLogger(__name__)

User = AbstractBaseUser | AnonymousUser
Decision = ToolRule.Decision

_STRENGTH = {Decision.DENY: 2, Decision.ASK: 1, Decision.ALLOW: 0}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to happen to a call, and the reason in words for who is asked or denied."""

    decision: Decision
    why: str = ""


class Policy:
    """What may be called by one person, by the rules as they stand now."""

    def __init__(self, user: User) -> None:
        self._user = user
        self._default = conf().APPROVAL_DEFAULT
        self._rules = list(ToolRule.objects.concerning(user))

    def verdict(self, tool: MCPTool, arguments: Mapping[str, Any] | None = None) -> Verdict:
        """What is to happen to a call of this tool; without arguments, to the tool as a whole.

        A rule for certain arguments says nothing of the tool as a whole.
        """
        said = [
            Verdict(Decision(rule.decision), rule.note)
            for rule in self._rules
            if self._concerns(rule, tool, arguments)
        ]
        if tool.needs_second_person:
            said.append(Verdict(Decision.ASK, _("A second person must approve this tool.")))
        return strongest(said) or self._by_default(tool)

    def _concerns(self, rule: ToolRule, tool: MCPTool, arguments: Mapping[str, Any] | None) -> bool:
        if rule.tool_id not in (None, tool.pk) or rule.server_id not in (None, tool.server_id):
            return False
        if rule.argument_schema is None:
            return True
        return arguments is not None and _fits(rule, arguments)

    def _by_default(self, tool: MCPTool) -> Verdict:
        if self._default != "annotations":
            return Verdict(Decision(self._default))
        return Verdict(Decision.ALLOW if tool.reads_only else Decision.ASK)


def strongest(said: Iterable[Verdict]) -> Verdict | None:
    """The word that wins, the first of its kind; nothing where nothing was said."""
    return max(said, key=lambda verdict: _STRENGTH[verdict.decision], default=None)


def _fits(rule: ToolRule, arguments: Mapping[str, Any]) -> bool:
    """Whether a rule is for these arguments; where that cannot be known, the careful way."""
    try:
        validate_arguments(rule.argument_schema or {}, dict(arguments))
    except InvalidArguments:
        return False
    except SchemaError:
        logger.warning("The rule %s could not be checked against a call", rule.pk, exc_info=True)
        return rule.decision != Decision.ALLOW
    return True
