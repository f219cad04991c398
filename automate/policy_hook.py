"""The site's own word on a call, by the dotted path in the setting `POLICY`.

    def decide(user, tool, arguments):
        if tool.server.slug == "shop" and arguments and arguments.get("amount", 0) > 500:
            return "deny"

Without arguments (`None`) it is asked on the tool as a whole, and "deny" then hides it. What it
cannot answer is denied.
"""

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from .models import MCPTool, ToolRule
from .models.permissions import User

logger = logging.getLogger(__name__)

Decision = ToolRule.Decision
_ANSWERS = {Decision.ALLOW.value, Decision.ASK.value, Decision.DENY.value}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to happen to a call, and the reason in words for who is asked or denied."""

    decision: Decision
    why: str = ""


class PolicyHook:
    """Asks the site's function for one person."""

    def __init__(self, path: str, user: User) -> None:
        self._path, self._user = path, user
        self._failures = 0

    def asked(self, tool: MCPTool, arguments: Mapping[str, Any] | None) -> Verdict | None:
        """What the function says; nothing where it has no opinion, deny where it fails."""
        try:
            decide = import_string(self._path)
            # Its own copy: what it changes must not be sent.
            answer = decide(self._user, tool, copy.deepcopy(arguments))
            return None if answer is None else _verdict(answer)
        except Exception:  # the site's own code; whatever it raises denies the call
            self._failures += 1
            if self._failures == 1:  # a thousand tools may fail in the same way
                logger.exception(
                    "The policy %r failed, so a call of %r is denied",
                    self._path,
                    tool.function_name,
                )
            return Verdict(Decision.DENY, _("This site could not decide on it."))


def _verdict(answer: object) -> Verdict:
    """What an answer means.

    Raises:
        ValueError: nothing.
    """
    said, why = (answer.decision, answer.why) if isinstance(answer, Verdict) else (answer, "")
    if not isinstance(said, str) or said not in _ANSWERS:
        raise ValueError(f"It answered {answer!r:.200}; write 'allow', 'ask', 'deny' or None.")
    return Verdict(Decision(said), str(why))
