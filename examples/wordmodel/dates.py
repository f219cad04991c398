"""Days and times in a sentence: ISO, "3 May", "next Monday", "tomorrow at 3pm", "this week"."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time, timedelta

from .words import word_list

_MONTHS = word_list(
    "january february march april may june july august september october november december"
)
_DAYS = word_list("monday tuesday wednesday thursday friday saturday sunday")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_COUNTS = word_list("zero one two three four five six seven eight nine ten")
_COUNT = rf"(?P<count>\d{{1,3}}|an?|{'|'.join(_COUNTS[1:])})"

_DATE = re.compile(
    r"\b(?:"
    r"(?P<iso>\d{4}-\d\d-\d\d)"
    r"|(?P<dotted>\d{1,2}\.\d{1,2}\.\d{4})"
    rf"|(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+{_MONTH}"
    rf"|{_MONTH.replace('month', 'month_first')}\s+(?P<day_last>\d{{1,2}})(?:st|nd|rd|th)?)\b"
    r"(?:,?\s+(?P<year>\d{4}))?"
    r"|(?P<relative>(?:the\s+)?day after tomorrow|today|tonight|tomorrow|yesterday)"
    r"|(?P<period>(?:this|next|last)\s+(?:week|month|year|weekend))"
    rf"|(?:(?P<which>next|this|last|coming)\s+)?(?P<weekday>{'|'.join(_DAYS)})"
    rf"|in\s+{_COUNT}\s+(?P<unit>day|week|month)s?"
    rf"|{_COUNT.replace('count', 'ago')}\s+(?P<ago_unit>day|week|month)s?\s+ago"
    rf"|(?:last|past)\s+{_COUNT.replace('count', 'past')}\s+(?P<past_unit>day|week|month)s?"
    r")\b",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\b(?:at\s+)?(?:(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?\s*(?P<half>am|pm)\b"
    r"|(?P<hour24>[01]?\d|2[0-3]):(?P<minute24>[0-5]\d)\b|(?P<word>noon|midnight)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class When:
    """A day, or the days from `first` to `last`, where the text says so."""

    start: int
    end: int
    first: date
    last: date


@dataclass(frozen=True)
class AtTime:
    """A time of day, where the text says so."""

    start: int
    end: int
    at: time


def find_dates(text: str, today: date) -> Iterator[When]:
    """Every day or period that the text names, seen from today."""
    for match in _DATE.finditer(text):
        try:
            period = _period(match, today)
        except ValueError:
            continue
        if period:
            yield When(match.start(), match.end(), *period)


def find_times(text: str) -> Iterator[AtTime]:
    """Every time of day that the text names."""
    for match in _TIME.finditer(text):
        if match["word"]:
            at = time(12) if match["word"].lower() == "noon" else time(0)
        else:
            hour = int(match["hour"] or match["hour24"])
            minute = int(match["minute"] or match["minute24"] or 0)
            if match["half"]:
                hour = hour % 12 + (12 if match["half"].lower() == "pm" else 0)
            if hour > 23 or minute > 59:
                continue
            at = time(hour, minute)
        yield AtTime(match.start(), match.end(), at)


def _period(match: re.Match[str], today: date) -> tuple[date, date] | None:
    if match["iso"]:
        day = date.fromisoformat(match["iso"])
    elif match["dotted"]:
        number, month, year = map(int, match["dotted"].split("."))
        day = date(year, month, number)
    elif match["month"] or match["month_first"]:
        day = _day_of_month(match, today)
    elif match["relative"]:
        word = match["relative"].lower()
        days = 2 if "after" in word else {"tomorrow": 1, "yesterday": -1}.get(word, 0)
        day = today + timedelta(days=days)
    elif match["weekday"]:
        day = _weekday(match["weekday"].lower(), (match["which"] or "").lower(), today)
    elif match["count"]:
        day = today + _length(match["count"], match["unit"])
    elif match["ago"]:
        day = today - _length(match["ago"], match["ago_unit"])
    elif match["past"]:
        return today - _length(match["past"], match["past_unit"]), today
    else:
        which, _, unit = match["period"].lower().partition(" ")
        return _whole(which, unit.strip(), today)
    return day, day


def _day_of_month(match: re.Match[str], today: date) -> date:
    name = (match["month"] or match["month_first"]).lower()
    month = next(n for n, each in enumerate(_MONTHS, start=1) if each.startswith(name))
    number = int(match["day"] or match["day_last"])
    if match["year"]:
        return date(int(match["year"]), month, number)
    day = date(today.year, month, number)
    return day if day >= today - timedelta(days=180) else date(today.year + 1, month, number)


def _weekday(name: str, which: str, today: date) -> date:
    ahead = (_DAYS.index(name) - today.weekday()) % 7
    if which == "last":
        return today + timedelta(days=ahead - 7)
    return today + timedelta(days=ahead or 7)


def _length(count: str, unit: str) -> timedelta:
    word = count.lower()
    number = int(word) if word.isdigit() else 1 if word in ("a", "an") else _COUNTS.index(word)
    return timedelta(days=number * {"day": 1, "week": 7, "month": 30}[unit.lower()])


def _whole(which: str, unit: str, today: date) -> tuple[date, date]:
    step = {"this": 0, "next": 1, "last": -1}[which]
    if unit in ("week", "weekend"):
        monday = today + timedelta(days=7 * step - today.weekday())
        first = monday + timedelta(days=5 if unit == "weekend" else 0)
        return first, monday + timedelta(days=6)
    if unit == "year":
        return date(today.year + step, 1, 1), date(today.year + step, 12, 31)
    months = today.year * 12 + today.month - 1 + step
    first = date(months // 12, months % 12 + 1, 1)
    following = date((months + 1) // 12, (months + 1) % 12 + 1, 1)
    return first, following - timedelta(days=1)
