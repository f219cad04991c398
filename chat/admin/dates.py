"""Years, months and days to narrow a long list by, found without a look at its rows.

Django's own hierarchy asks the database for every different day, which takes seconds where there
are a million rows. This one asks for the first and the last.
"""

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.db.models import Max, Min
from django.utils.formats import date_format

from automate.days import local_day


@dataclass(frozen=True, slots=True)
class DateChoice:
    """A link to what is of one year, month or day."""

    title: str
    query: str


@dataclass(frozen=True, slots=True)
class DateChoices:
    """What the list may be narrowed to, and the way back."""

    back: DateChoice | None
    choices: Sequence[DateChoice]


def date_choices(
    changelist: ChangeList, field: str, chosen: Mapping[str, Any]
) -> DateChoices | None:
    """The next step down from the year, month or day in `chosen`, the parameters of the request.

    Nothing where the list has no rows.
    """
    found = changelist.root_queryset.order_by().aggregate(first=Min(field), last=Max(field))
    if found["first"] is None:
        return None
    first, last = local_day(found["first"]), local_day(found["last"])
    names = [f"{field}__{part}" for part in ("year", "month", "day")]
    year, month, day = (_number(chosen.get(name)) for name in names)

    def choice(title: str, *parts: int) -> DateChoice:
        query = changelist.get_query_string(dict(zip(names, parts, strict=False)), [f"{field}__"])
        return DateChoice(title, query)

    back = None
    if year is not None:
        back = choice(str(year), year) if month else choice("…")
    elif first.year == last.year:
        year = first.year
    if year is None:
        years = [choice(str(each), each) for each in range(first.year, last.year + 1)]
        return DateChoices(None, years)
    if not 1 <= (month or 1) <= 12 or not 1 <= year <= 9999:
        return DateChoices(choice("…"), [])
    if month is None:
        months = [date(year, each, 1) for each in range(1, 13)]
        months = [each for each in months if first.replace(day=1) <= each <= last]
        named = [choice(date_format(each, "F Y"), year, each.month) for each in months]
        return DateChoices(back, named)
    length = calendar.monthrange(year, month)[1]
    days = [date(year, month, each) for each in range(1, length + 1)]
    days = [each for each in days if first <= each <= last]
    if day is not None:
        back = choice(date_format(date(year, month, 1), "F Y"), year, month)
        days = []
    return DateChoices(
        back, [choice(date_format(each, "j M"), year, month, each.day) for each in days]
    )


def _number(sent: Any) -> int | None:
    return int(sent) if str(sent or "").isdecimal() else None
