"""How a tool is used, and how it does: counted from the records of its calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from automate.days import local_day
from automate.models import MCPTool

from .models import CallRecord, ToolCall

USAGE_DAYS = 30
FAILING_HOURS = 24
TIMED_CALLS = 1_000
"""How many of the last calls tell how long one takes."""

_Status = ToolCall.Status
SENT = (_Status.SUCCEEDED, _Status.FAILED, _Status.UNKNOWN)
"""The outcomes of calls that reached their server."""

WRONG = (_Status.FAILED, _Status.UNKNOWN)
WENT_WRONG = Q(outcome__in=WRONG)


@dataclass(frozen=True, slots=True)
class Day:
    """The calls of one day."""

    day: date
    calls: int
    errors: int


@dataclass(frozen=True, slots=True)
class ToolUsage:
    """What a tool was used for in the last `USAGE_DAYS` days."""

    days: Sequence[Day]
    calls: int
    errors: int
    cost: Decimal
    p50: int | None
    """Milliseconds that half of the last calls took at most; nothing where there was none."""
    p95: int | None
    last: CallRecord | None


def tool_usage(tool: MCPTool) -> ToolUsage:
    """Counted by three queries, none of which reads more than the tool's own records."""
    today = local_day(timezone.now())
    first = today - timedelta(days=USAGE_DAYS - 1)
    sent = CallRecord.objects.filter(tool=tool, outcome__in=SENT)
    recent = sent.since(timezone.now() - timedelta(days=USAGE_DAYS))
    by_day = {
        row["day"]: row
        for row in recent.order_by()
        .annotate(day=TruncDate("created_at"))
        .values("day")
        .annotate(calls=Count("pk"), errors=Count("pk", filter=WENT_WRONG), cost=Sum("cost"))
    }
    days = []
    for number in range(USAGE_DAYS):
        day = first + timedelta(days=number)
        row = by_day.get(day)
        days.append(Day(day, row["calls"], row["errors"]) if row else Day(day, 0, 0))
    timed = sent.order_by("-created_at").values_list("milliseconds", flat=True)[:TIMED_CALLS]
    taken = sorted(each for each in timed if each is not None)
    return ToolUsage(
        days=days,
        calls=sum(row["calls"] for row in by_day.values()),
        errors=sum(row["errors"] for row in by_day.values()),
        cost=sum((row["cost"] for row in by_day.values()), Decimal(0)),
        p50=percentile(taken, 50),
        p95=percentile(taken, 95),
        last=sent.order_by("-created_at", "-pk").first(),
    )


def percentile(ascending: Sequence[int], percent: int) -> int | None:
    """The smallest value that so many percent of all do not exceed."""
    if not ascending:
        return None
    return ascending[-(-len(ascending) * percent // 100) - 1]


def failing_tools() -> QuerySet[CallRecord, int]:
    """The keys of tools of whose calls in the last hours half went wrong, or more."""
    since = timezone.now() - timedelta(hours=FAILING_HOURS)
    sent = CallRecord.objects.since(since).filter(outcome__in=SENT, tool__isnull=False)
    counted = (
        sent.order_by()
        .values("tool")
        .annotate(wrong=Count("pk", filter=WENT_WRONG), all=Count("pk"))
    )
    return counted.filter(wrong__gte=F("all") - F("wrong")).values_list("tool", flat=True)
