"""What people may use in a day: tokens and money, added up over all workers.

Each model request is checked before it is made and counted when it has ended, so that what is
used goes over a budget by the requests under way at most.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from automate.conf import Settings
from automate_llm.providers.base import Usage

from .models import Turn
from .usage import Amount, Used, add_usage, used_on

NO_BUDGET = "automate_chat.no_budget"
"""The permission of people for whom no budget holds."""

_MAX_COST = Decimal("999999.999999")
"""The largest amount that a turn's column takes."""

_MILLION = 1_000_000


class BudgetSpent(Exception):
    """A budget of this day is used up; the message is the sentence for the person."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs for a million tokens, in the currency of the site's own choice."""

    input: Decimal
    output: Decimal
    cached_input: Decimal

    def of(self, usage: Usage) -> Decimal:
        """The cost of one request."""
        fresh = max(usage.prompt_tokens - usage.cached_tokens, 0)
        cost = (
            self.input * fresh
            + self.cached_input * min(usage.cached_tokens, usage.prompt_tokens)
            + self.output * usage.completion_tokens
        )
        return min(round(cost / _MILLION, 6), _MAX_COST)


def price_of(alias: str, settings: Settings) -> Price | None:
    """The price of a model in `AUTOMATE["MODELS"]`; none where the site names none."""
    chosen = settings.MODELS.get(alias, {}).get("PRICE")
    if not chosen:
        return None
    each = {name: Decimal(str(amount)) for name, amount in chosen.items()}
    return Price(each["INPUT"], each["OUTPUT"], each.get("CACHED_INPUT", each["INPUT"]))


def today() -> date:
    """The day on the site's own clock, whatever zone a request has activated."""
    return datetime.now(timezone.get_default_timezone()).date()


class Spending:
    """Counts what one turn uses, on the turn and for its person's day."""

    def __init__(self, turn: Turn, settings: Settings) -> None:
        self._turn = turn
        self._user: Any = turn.conversation.user
        self._settings = settings
        self._price = price_of(turn.model, settings)
        self._unstored = Amount()

    def check(self) -> None:
        """Make sure that another model request may be made; a query where a budget is set.

        Raises:
            BudgetSpent: it may not, until midnight.
        """
        own = self._settings.USER_DAILY_TOKENS, self._settings.USER_DAILY_COST
        of_site = self._settings.SITE_DAILY_TOKENS, self._settings.SITE_DAILY_COST
        if own == of_site == (None, None):
            return
        by_all = of_site != (None, None)
        own_use, all_use = used_on(today(), self._user.pk, by_all=by_all)
        if reason := _spent(own, own_use, _OWN) or _spent(of_site, all_use, _SITE):
            # Asked for last: it is a query or two, and hardly ever needed.
            if self._user.has_perm(NO_BUDGET):
                return
            raise BudgetSpent(f"{reason} {_opens_again()}")

    def count(self, usage: Usage) -> None:
        """Add what one model request used to the turn, and to what `store` has to store."""
        cost = self._price.of(usage) if self._price is not None else Decimal(0)
        self._turn.cost = min(self._turn.cost + cost, _MAX_COST)
        self._unstored += Amount(usage.prompt_tokens, usage.completion_tokens, cost)

    def store(self) -> None:
        """Add what was counted since the last `settle` to the person's day, by one statement.

        In a transaction it comes last: all turns of a person wait for each other there.
        """
        if self._unstored.tokens:
            add_usage(today(), self._user.pk, self._unstored)

    def settle(self) -> None:
        """What was counted so far is stored."""
        self._unstored = Amount()


_OWN = (
    _lazy("You have used all the tokens that you have for today."),
    _lazy("You have used all the money that you have for today's answers."),
)
_SITE = (
    _lazy("This site has used all the tokens that it has for today."),
    _lazy("This site has used all the money that it has for today's answers."),
)


def _spent(limits: tuple[Any, Any], used: Used, sentences: tuple[Any, Any]) -> str:
    """The sentence for the first limit that is reached; empty where none is."""
    amounts = Decimal(used.tokens), used.cost
    for limit, amount, sentence in zip(limits, amounts, sentences, strict=True):
        if limit is not None and amount >= Decimal(str(limit)):
            return str(sentence)
    return ""


def _opens_again() -> str:
    zone = timezone.get_default_timezone_name()
    return _("You can go on at midnight (%(zone)s); your message is kept.") % {"zone": zone}
