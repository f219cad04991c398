"""Days and times of a message, put into the slots that want them."""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from .dates import AtTime, When
from .facts import Text
from .families import family, is_end, is_start
from .phrases import Span, free
from .schema import Slot

_UNTIL = re.compile(
    r"\b(?:until|till|before|to|by|through|and|due|ending)\s*$|[-–]\s*$", re.IGNORECASE
)
_SINCE = re.compile(r"\b(?:since|after|from|starting|as of)\s*(?:on\s*)?$", re.IGNORECASE)
_LENGTH = re.compile(r"\bfor\s+(?:(\d+)|an?|one)\s*(min|hour|hr|h\b)", re.IGNORECASE)


def fill_dates(
    wanted: Sequence[Slot], text: Text, claimed: list[Span]
) -> Iterator[tuple[Slot, Any]]:
    """Values for the slots that take a day or a moment; times are UTC."""
    slots = [slot for slot in wanted if family(slot) == "date"]
    days: list[When] = [
        fact.value for fact in text.of("date") if free(fact.start, fact.end, claimed)
    ]
    times: list[AtTime] = [
        fact.value for fact in text.of("time") if free(fact.start, fact.end, claimed)
    ]
    if not slots or not (days or (times and any(_with_time(slot) for slot in slots))):
        return
    if not days:
        return
    first, last = days[0], days[-1]
    has_range = any(is_start(slot) for slot in slots) and any(is_end(slot) for slot in slots)
    open_ended = len(days) == 1 and first.first == first.last
    for slot in slots:
        if is_end(slot) and not is_start(slot):
            if has_range and open_ended and _SINCE.search(text.text[: first.start]):
                continue
            day, at = last.last, _end_time(times, text)
            said = _ends_here(text, first) or len(times) > 1 or bool(_LENGTH.search(text.text))
            if open_ended and not slot.needed and not said:
                continue
        elif (
            is_start(slot) and has_range and open_ended and _UNTIL.search(text.text[: first.start])
        ):
            continue
        else:
            day, at = first.first, times[0].at if times else None
        yield slot, [_moment(slot, day, at)] if slot.plural else _moment(slot, day, at)
    claimed.extend((day.start, day.end) for day in days)
    if any(_with_time(slot) for slot in slots):
        claimed.extend((at.start, at.end) for at in times)


def fill_time(slot: Slot, text: Text, claimed: list[Span]) -> str | None:
    """The first free time of day, for a slot that takes one."""
    for fact in text.of("time"):
        if free(fact.start, fact.end, claimed):
            claimed.append((fact.start, fact.end))
            at: time = fact.value.at
            return at.isoformat() + "Z" if slot.schema.get("format") == "time" else f"{at:%H:%M}"
    return None


def _ends_here(text: Text, day: When) -> bool:
    return bool(_UNTIL.search(text.text[: day.start]))


def _with_time(slot: Slot) -> bool:
    said = slot.description.casefold()
    stated = slot.schema.get("format")
    timed = slot.has_word("datetime", "time", "timestamp") or "hh:mm" in said or "time" in said
    return stated == "date-time" or (stated != "date" and (timed or "iso 8601" in said))


def _moment(slot: Slot, day: date, at: time | None) -> str:
    if not _with_time(slot):
        return day.isoformat()
    return f"{datetime.combine(day, at or time(0)).isoformat()}Z"


def _end_time(times: Sequence[AtTime], text: Text) -> time | None:
    if len(times) > 1:
        return times[1].at
    if not times:
        return time(23, 59, 59)
    match = _LENGTH.search(text.text)
    minutes = 60
    if match:
        count = int(match[1] or 1)
        minutes = count * (1 if match[2].lower() == "min" else 60)
    later = datetime.combine(date(2000, 1, 1), times[0].at) + timedelta(minutes=min(minutes, 1439))
    return later.time()
