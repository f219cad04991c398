"""What one turn may use, and the sentences for when it has used it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Self

from django.utils.translation import gettext as _

from automate.conf import Settings
from automate_llm.providers.base import Usage

from .arguments import canonical
from .models import ToolCall, Turn

_MAX_TOKENS = 2**31 - 1
"""The largest number that a database's integer column takes."""


@dataclass(slots=True)
class TurnLimits:
    """Counts what a turn uses. `limit` is the one that ended its use of tools, if one did, and
    `reached` says so.
    """

    settings: Settings
    rounds: int = 0
    calls: int = 0
    repairs: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    limit: str = ""
    reached: str = ""
    same_calls: Counter[tuple[str, str]] = field(default_factory=Counter)

    @classmethod
    def of(cls, turn: Turn, settings: Settings) -> Self:
        """What a turn has used in its runs so far."""
        limits = cls(
            settings,
            rounds=turn.rounds,
            repairs=turn.repairs,
            prompt_tokens=turn.prompt_tokens,
            completion_tokens=turn.completion_tokens,
        )
        if turn.started_at is not None:
            made = turn.tool_calls.exclude(status=ToolCall.Status.REFUSED)
            for name, arguments in made.values_list("function_name", "arguments"):
                limits.calls += 1
                limits.same_calls[name, canonical(arguments)] += 1
        return limits

    def count_round(self) -> None:
        """Another model request; the last one that is allowed gets no tools."""
        self.rounds += 1
        if self.rounds >= self.settings.MAX_ROUNDS:
            sentence = _("Stopped using tools after %(count)s rounds.") % {"count": self.rounds}
            self._reach(Turn.Limit.ROUNDS, sentence)

    def count_usage(self, usage: Usage) -> None:
        """Add what the model's server counted."""
        self.prompt_tokens = min(self.prompt_tokens + usage.prompt_tokens, _MAX_TOKENS)
        self.completion_tokens = min(self.completion_tokens + usage.completion_tokens, _MAX_TOKENS)
        if self.prompt_tokens + self.completion_tokens >= self.settings.MAX_TURN_TOKENS:
            self._reach(
                Turn.Limit.TOKENS,
                _("Stopped using tools after %(count)s tokens.")
                % {"count": f"{self.prompt_tokens + self.completion_tokens:,}"},
            )

    @contextmanager
    def kept_on_error(self) -> Iterator[None]:
        """What the block has counted counts only where it does not fail: it may be done again."""
        before = replace(self, same_calls=self.same_calls.copy())
        try:
            yield
        except BaseException:  # raised on
            for each in fields(self):
                setattr(self, each.name, getattr(before, each.name))
            raise

    def refusal(self, function_name: str, arguments: str) -> str:
        """Count a call; why it may not be made, empty where it may."""
        if self.reached:
            return self.reached
        if self.calls >= self.settings.MAX_TOOL_CALLS:
            sentence = _("Stopped after %(count)s tool calls.") % {"count": self.calls}
            self._reach(Turn.Limit.CALLS, sentence)
        elif self.same_calls[function_name, arguments] >= self.settings.MAX_SAME_CALLS:
            self._reach(
                Turn.Limit.SAME_CALLS,
                _("Stopped: the same call was asked for more than %(count)s times.")
                % {"count": self.settings.MAX_SAME_CALLS},
            )
        else:
            self.calls += 1
            self.same_calls[function_name, arguments] += 1
        return self.reached

    def count_repair(self) -> None:
        """The model wrote arguments that do not fit, and may mend them so many times."""
        self.repairs += 1
        if self.repairs > self.settings.MAX_REPAIRS:
            self._reach(
                Turn.Limit.REPAIRS,
                _("Stopped: %(count)s calls had arguments that do not fit their tools.")
                % {"count": self.repairs},
            )

    def _reach(self, limit: Turn.Limit, sentence: str) -> None:
        if not self.reached:
            self.limit, self.reached = limit, sentence
