"""How the whole site does, in few queries whatever its size: what the dashboard shows."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.contrib.auth import get_user_model
from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from automate.models import MCPTool
from automate.models.reviews import WAITING

from .budgets import today
from .models import Approval, CallRecord, DailyUsage, Question, Turn, Worker
from .tool_usage import SENT, USAGE_DAYS, WRONG

TOP = 10
CALL_DAYS = 7
MOST_CALLS = 10_000
"""So many of the last calls are looked at, none older than so many days."""

MIN_CALLS = 5
"""With fewer calls, how often they fail says nothing of a tool."""


@dataclass(frozen=True, slots=True)
class ToolFigures:
    """Those of the last calls that were of one tool."""

    tool: MCPTool
    calls: int
    wrong: int
    milliseconds: int | None
    """How long one took on average."""

    @property
    def percent(self) -> int:
        """How many of a hundred went wrong."""
        return round(100 * self.wrong / self.calls)


@dataclass(frozen=True, slots=True)
class Calls:
    """The last calls, all together."""

    calls: int
    wrong: int
    slowest: Sequence[ToolFigures]
    most_failing: Sequence[ToolFigures]


@dataclass(frozen=True, slots=True)
class UsageDay:
    """What all people used on one day."""

    day: date
    tokens: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class UsagePerson:
    """What one person used in all the days."""

    name: str
    tokens: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Work:
    """What goes on now, and what waits for whom."""

    turns: Mapping[str, int]
    approvals: int
    questions: int
    workers: int
    reviews: int
    usable: int
    """Tools that a chat may call."""


def work() -> Work:
    """Five queries."""
    turns = Turn.objects.unfinished().order_by().values_list("status").annotate(Count("pk"))
    tools = MCPTool.objects.aggregate(
        reviews=Count("pk", filter=Q(available=True, review__in=WAITING)),
        usable=Count("pk", filter=Q(**MCPTool.USABLE)),
    )
    return Work(
        turns=dict(turns),
        approvals=Approval.objects.waiting().count(),
        questions=Question.objects.filter(status=Question.Status.WAITING).count(),
        workers=Worker.objects.alive().count(),
        reviews=tools["reviews"],
        usable=tools["usable"],
    )


def calls() -> Calls:
    """Two queries: one for the last calls, one for the names of the tools that are shown."""
    since = timezone.now() - timedelta(days=CALL_DAYS)
    sent = CallRecord.objects.since(since).filter(outcome__in=SENT, tool__isnull=False)
    last = sent.order_by("-created_at").values_list("tool", "outcome", "milliseconds")
    by_tool: dict[int, _Sum] = defaultdict(_Sum)
    for tool, outcome, milliseconds in last[:MOST_CALLS]:
        by_tool[tool].add(outcome, milliseconds)
    slowest = _most(by_tool, lambda each: each.average or 0)
    enough = {tool: each for tool, each in by_tool.items() if each.calls >= MIN_CALLS}
    failing = _most(enough, lambda each: each.wrong / each.calls)
    tools = MCPTool.objects.select_related("server").only("name", "server__name")
    named = tools.in_bulk({*slowest, *failing})
    return Calls(
        calls=sum(each.calls for each in by_tool.values()),
        wrong=sum(each.wrong for each in by_tool.values()),
        slowest=[_figures(named[tool], by_tool[tool]) for tool in slowest if tool in named],
        most_failing=[_figures(named[tool], by_tool[tool]) for tool in failing if tool in named],
    )


def usage_by_day() -> list[UsageDay]:
    """One query; every one of the last days, those without use too."""
    last = today()
    first = last - timedelta(days=USAGE_DAYS - 1)
    used = {
        row["day"]: row
        for row in DailyUsage.objects.filter(day__gte=first)
        .order_by()
        .values("day")
        .annotate(all_tokens=Sum(_TOKENS), money=Sum("cost"))
    }
    days = [first + timedelta(days=number) for number in range(USAGE_DAYS)]
    return [
        UsageDay(day, used[day]["all_tokens"], used[day]["money"])
        if day in used
        else UsageDay(day, 0, Decimal(0))
        for day in days
    ]


def usage_by_person() -> list[UsagePerson]:
    """Those who used most, by two queries."""
    first = today() - timedelta(days=USAGE_DAYS - 1)
    most = list(
        DailyUsage.objects.filter(day__gte=first)
        .order_by()
        .values("user")
        .annotate(all_tokens=Sum(_TOKENS), money=Sum("cost"))
        .order_by("-all_tokens")[:TOP]
    )
    people = get_user_model()._default_manager.in_bulk([row["user"] for row in most])
    return [
        UsagePerson(people[row["user"]].get_username(), row["all_tokens"], row["money"])
        for row in most
        if row["user"] in people
    ]


_TOKENS = F("prompt_tokens") + F("completion_tokens")


@dataclass(slots=True)
class _Sum:
    calls: int = 0
    wrong: int = 0
    timed: int = 0
    milliseconds: int = 0

    def add(self, outcome: str, milliseconds: int | None) -> None:
        self.calls += 1
        self.wrong += outcome in WRONG
        if milliseconds is not None:
            self.timed += 1
            self.milliseconds += milliseconds

    @property
    def average(self) -> int | None:
        return round(self.milliseconds / self.timed) if self.timed else None


def _most(by_tool: Mapping[int, _Sum], key: Callable[[_Sum], float]) -> list[int]:
    """The keys of the tools that have most of it, and any."""
    most = sorted(by_tool, key=lambda tool: key(by_tool[tool]), reverse=True)[:TOP]
    return [tool for tool in most if key(by_tool[tool])]


def _figures(tool: MCPTool, all_calls: _Sum) -> ToolFigures:
    return ToolFigures(tool, all_calls.calls, all_calls.wrong, all_calls.average)
