"""What a message states in a form of its own: addresses, quotes, days, numbers, codes, pairs."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from .dates import AtTime, When, find_dates, find_times
from .words import STOP, WORD, stem, word_list, word_set

Kind = Literal[
    "json", "quote", "email", "url", "date", "time", "sql", "sum", "repository", "path", "handle",
    "code", "number",
]  # fmt: skip
MAX_CHARACTERS = 4_000
"""How much of a message is read for facts; the rest of a longer one is left alone."""

_COUNTS = word_list(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
_TENS = {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90, "hundred": 100}
COUNT_WORDS = {word: number for number, word in enumerate(_COUNTS)} | _TENS | {
    "dozen": 12, "couple": 2,
}  # fmt: skip
CURRENCIES = {
    "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "dollar": "USD", "euro": "EUR",
    "pound": "GBP", "yen": "JPY", "franc": "CHF", "rupee": "INR", "yuan": "CNY",
}  # fmt: skip

_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("quote", re.compile(r"```(?:\w*\n)?(.+?)```|`([^`\n]+)`", re.DOTALL)),
    ("quote", re.compile(r"\"([^\"\n]+)\"|“([^”\n]+)”|«([^»\n]+)»")),
    ("quote", re.compile(r"(?<![\w'’])['‘]([^'’\n]+(?:['’](?=\w)[^'’\n]+)*)['’](?!\w)")),
    ("sql", re.compile(r"\b((?:SELECT|INSERT INTO|UPDATE|DELETE FROM)\s(?s:.+?))(?:;|$)")),
    ("sql", re.compile(r"\b(select \* from\s.+?)(?:;|$)")),
    ("email", re.compile(r"([\w.+-]+@[\w-]+(?:\.[\w-]+)+)")),
    ("url", re.compile(r"(https?://[^\s<>\"')\]]*[^\s<>\"')\].,;:!?])")),
    ("url", re.compile(r"\b(www\.[\w-]+(?:\.[\w-]+)+[^\s<>\"')\].,;:!?]*)")),
    ("handle", re.compile(r"(?<![\w@])@([\w-]+)")),
)
_LATER: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("sum", re.compile(r"(?<![\w.])([\d(][\d\s.+*/^%()x×-]*[\d)])(?!\w)")),
    ("path", re.compile(r"(?<![\w/])((?:~|\.{1,2})?/[\w./-]*[\w/]|(?:[\w.-]+/){2,}[\w.-]*\w)")),
    ("path", re.compile(r"\b([\w-]+/[\w-]+\.[A-Za-z]\w{0,4})\b")),
    ("path", re.compile(r"\b([\w-]+(?:\.[\w-]+)*\.[a-z]{1,4}\d?)\b")),
    ("repository", re.compile(r"(?<![\w/])([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*\w)")),
    (
        "code",
        re.compile(
            r"\b([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}"
            r"|(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*"
            r"|[A-Z]{2,}(?:-[A-Z]+)+)\b"
        ),
    ),
)  # fmt: skip
_NUMBER = re.compile(
    rf"(?P<before>[#$€£¥]\s?)?(?P<number>(?<![\w.])-?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?"
    rf"|\b(?:{'|'.join(COUNT_WORDS)})\b)"
    r"\s?(?P<after>[%$€£¥]|\b(?:dollars?|euros?|pounds?|yen|francs?|rupees?|yuan|[A-Z]{3})\b)?",
    re.IGNORECASE,
)
_COUNTED_DAYS = re.compile(r"(?:last|past|in)\s+\w+\s+(?:day|week|month)s?$", re.IGNORECASE)
_NOT_CODES = re.compile(r"\d+(?:st|nd|rd|th|am|pm|k|m|kg|g|km|cm|mm|h|min|s|x|d)", re.IGNORECASE)
_CURRENCY_CODES = word_set("USD EUR GBP JPY CHF CAD AUD NZD CNY INR SEK NOK DKK PLN CZK")


@dataclass(frozen=True)
class Fact:
    """A piece of the message that has a value by its form.

    `unit` is a number's currency code, `%` or `#`, where one stands at it.
    """

    kind: Kind
    start: int
    end: int
    value: Any
    unit: str = ""


@dataclass(frozen=True)
class Token:
    """A word of the message and where it stands."""

    start: int
    end: int
    text: str

    @property
    def stem(self) -> str:
        """The word without its ending."""
        return stem(self.text)

    @property
    def is_stop(self) -> bool:
        """Whether the word says nothing by itself."""
        return self.text.casefold().replace("’", "'") in STOP


@dataclass(frozen=True)
class Text:
    """A message with what was found in it."""

    text: str
    facts: tuple[Fact, ...]
    tokens: tuple[Token, ...] = field(repr=False)

    def of(self, *kinds: Kind) -> list[Fact]:
        """The facts of these kinds, in the order of the text."""
        return [fact for fact in self.facts if fact.kind in kinds]

    def part(self, start: int, end: int) -> "Text":
        """The message as if it consisted of this stretch alone, positions unchanged."""
        return Text(
            " " * start + self.text[start:end],
            tuple(fact for fact in self.facts if start <= fact.start and fact.end <= end),
            tuple(token for token in self.tokens if start <= token.start and token.end <= end),
        )


def read(text: str, today: date) -> Text:
    """Find every fact in a message; only the count in "last 7 days" stands in another one."""
    text = text[:MAX_CHARACTERS]
    found: list[Fact] = []
    for fact in _all_facts(text, today):
        over = [other for other in found if fact.start < other.end and other.start < fact.end]
        if not over or (fact.kind == "number" and _counts_days(text, over)):
            found.append(fact)
    found.sort(key=lambda fact: fact.start)
    tokens = [Token(match.start(), match.end(), match.group()) for match in WORD.finditer(text)]
    return Text(text, tuple(found), tuple(tokens))


def _all_facts(text: str, today: date) -> Iterator[Fact]:
    yield from _json_values(text)
    for kind, pattern in _PATTERNS:
        yield from _matches(kind, pattern, text)
    for day in find_dates(text, today):
        yield Fact("date", day.start, day.end, day)
    for at in find_times(text):
        yield Fact("time", at.start, at.end, at)
    for kind, pattern in _LATER:
        for fact in _matches(kind, pattern, text):
            if kind == "sum" and not re.search(r"\d\s?[-+*/^%x×]+\s?[\d(]", fact.value):
                continue
            if kind == "code" and _NOT_CODES.fullmatch(fact.value):
                continue
            yield fact
    for match in _NUMBER.finditer(text):
        if not _is_pronoun(match, text):
            yield _number(match)


def _counts_days(text: str, over: list[Fact]) -> bool:
    """Whether a number stands in words such as "last 7 days", which are a day and a count."""
    return len(over) == 1 and bool(_COUNTED_DAYS.match(text[over[0].start : over[0].end]))


def _json_values(text: str) -> Iterator[Fact]:
    decoder = json.JSONDecoder()
    position = 0
    for _ in range(20):
        opening = re.compile(r"[{\[]\s*[\"\d{\[\]}-]").search(text, position)
        if opening is None:
            return
        try:
            value, end = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            position = opening.start() + 1
        else:
            yield Fact("json", opening.start(), end, value)
            position = end


def _matches(kind: Kind, pattern: re.Pattern[str], text: str) -> Iterator[Fact]:
    for match in pattern.finditer(text):
        value = next(group for group in match.groups() if group is not None).strip()
        if value:
            yield Fact(kind, match.start(), match.end(), value)


def _is_pronoun(match: re.Match[str], text: str) -> bool:
    """Whether a "one" counts nothing, as in "which one"."""
    if match["number"].lower() != "one" or len(text.split()) <= 3:
        return False
    before = text[: match.start()].split()[-1:]
    return not re.match(r"\s+\w", text[match.end() :]) or before in (["this"], ["that"], ["which"])


def _number(match: re.Match[str]) -> Fact:
    word = match["number"].lower()
    value: int | float
    if word in COUNT_WORDS:
        value = COUNT_WORDS[word]
    else:
        digits = word.replace(",", "")
        value = float(digits) if "." in digits or len(digits) > 18 else int(digits)
    sign = (match["before"] or "").strip()
    after = (match["after"] or "").strip()
    end = match.end()
    unit = CURRENCIES.get(sign, sign)
    if not unit and after:
        unit = CURRENCIES.get(after) or CURRENCIES.get(after.lower().removesuffix("s"), "")
        unit = unit or (after if after == "%" else "")
        if not unit and after.upper() in _CURRENCY_CODES:
            unit = after.upper()
        if not unit:
            end = match.end("number")
    return Fact("number", match.start(), end, value, unit)


__all__ = ["AtTime", "Fact", "Kind", "Text", "Token", "When", "read"]
