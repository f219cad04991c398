"""Languages and currencies by the names that people give them."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from .facts import CURRENCIES, Text
from .families import family, is_source, is_target
from .phrases import Span, free
from .schema import Slot

LANGUAGES = {
    "english": "en", "german": "de", "french": "fr", "spanish": "es", "italian": "it",
    "portuguese": "pt", "dutch": "nl", "polish": "pl", "czech": "cs", "russian": "ru",
    "ukrainian": "uk", "turkish": "tr", "greek": "el", "arabic": "ar", "hebrew": "he",
    "hindi": "hi", "chinese": "zh", "japanese": "ja", "korean": "ko", "swedish": "sv",
    "danish": "da", "norwegian": "no", "finnish": "fi", "hungarian": "hu", "latin": "la",
}  # fmt: skip
_LANGUAGE = re.compile(rf"\b({'|'.join(LANGUAGES)})\b", re.IGNORECASE)
_CURRENCY = re.compile(
    r"(?<![\w])(USD|EUR|GBP|JPY|CHF|CAD|AUD|NZD|CNY|INR|SEK|NOK|DKK|PLN|CZK|[A-Z]{3}(?=\s+to\b)"
    rf"|(?:{'|'.join(name for name in CURRENCIES if name.isalpha())})s?)(?!\w)|([$€£¥])"
)
_AIM = re.compile(r"\b(?:to|into|in)\s+(?:an?\s+|the\s+)?$", re.IGNORECASE)


def language(slot: Slot, text: Text, claimed: list[Span]) -> str | None:
    """The language that the message names for a slot: a code where the slot asks for one."""
    for match in _LANGUAGE.finditer(text.text):
        aimed = bool(_AIM.search(text.text[: match.start()]))
        if is_source(slot) and aimed or not free(*match.span(), claimed):
            continue
        start = match.start()
        if lead := re.search(r"(?:to|into|in|from)\s+$", text.text[: match.start()]):
            start = lead.start()
        claimed.append((start, match.end()))
        said = slot.description.casefold()
        short = isinstance(slot.schema.get("maxLength"), int) and slot.schema["maxLength"] <= 5
        coded = short or "iso" in said or "code" in said or "code" in slot.words
        return LANGUAGES[match[1].lower()] if coded else match[1].capitalize()
    return None


def currency_codes(
    wanted: Sequence[Slot], text: Text, claimed: list[Span]
) -> Iterator[tuple[Slot, Any]]:
    """Codes for the slots that take a currency: the aimed-at one by "to", "into" or "in"."""
    slots = [slot for slot in wanted if family(slot) == "currency"]
    if not slots:
        return
    found: list[tuple[str, bool, Span]] = []
    for match in _CURRENCY.finditer(text.text):
        word = match[1] or match[2]
        code = CURRENCIES.get(word) or CURRENCIES.get(word.lower().removesuffix("s")) or word
        found.append((code, bool(_AIM.search(text.text[: match.start()])), match.span()))
    if any(map(is_source, slots)) and not any(aimed for _, aimed, _ in found):
        # "how many dollars are 30 pounds": the amount's own currency is where it comes from.
        ends = {fact.end for fact in text.of("number") if fact.unit}
        found = [(code, span[1] not in ends, span) for code, _, span in found]
    for slot in slots:
        fitting = [each for each in found if each[1] == is_target(slot)] or (
            [] if is_source(slot) or is_target(slot) else found
        )
        if fitting:
            found.remove(fitting[0])
            # The sign of an amount belongs to the amount too.
            if not any(f.kind == "number" and f.end == fitting[0][2][1] for f in text.facts):
                claimed.append(fitting[0][2])
            yield slot, [fitting[0][0]] if slot.plural else fitting[0][0]
