"""The words and forms by which a slot's value is known in a message."""

import re

from .facts import Kind
from .families import Family
from .phrases import MORE_NAMES
from .words import stem

FACTS: dict[Family, tuple[Kind, ...]] = {
    "email": ("email",), "url": ("url",), "sql": ("sql",), "sum": ("sum",),
    "repository": ("repository",), "path": ("path",), "object": ("json",),
    "id": ("code",), "person": ("handle", "email"), "channel": ("handle",),
}  # fmt: skip
"""The forms of fact that fill each kind of slot."""

CUES: dict[Family, str] = {
    "place": "in|at|near|around|for|of|to|from|within",
    "person": "assigned to|named|called|for|with|by|to|of|is|user|customer|about|from",
    "channel": "channel|in|to",
    "title": "titled|entitled|called|named|with the (?:title|subject)|title|subject|headed",
    "text": "named|called|titled",
}
"""The words after which the value of each kind of slot stands."""

BODY = (
    r"saying(?: that)?|that says|says|to say|reading|telling (?:him|her|them|us)(?: that)?"
    r"|with (?:the |a )?(?:text|message|body|content|contents|comment|note|description)"
    r"|(?:body|content|message|note|comment|text)\s*:"
)
LISTED = r"with|containing|including|using|made of|named|called|tagged|labell?ed|:"
ABOUT = r"about|regarding|concerning|on the subject of|titled|called|named|that|to"
JOINED = re.compile(r"\s*(?:,|\band\b|\bor\b|&)\s*(?:in\s+|of\s+|for\s+)?", re.IGNORECASE)
NEGATION = re.compile(r"\b(?:not|no|without|excluding|exclude|except|don't|never)\W+(?:\w+\W+)?$")
ABBREVIATED = ("symbol", "ticker", "code", "iata", "airport", "currency", "key")
FLAG_WORDS = frozenset(map(stem, ("only", "include", "is", "has", "with", "show", "enable", "in")))


def is_quick(pattern: str) -> bool:
    """Whether a schema's pattern is surely done soon: no repeated group, few repetitions."""
    repeated = re.search(r"\)[*+?{]", pattern)
    return len(pattern) <= 200 and not repeated and len(re.findall(r"[*+?]|{\d*,", pattern)) <= 3


def enumerated(rest: str) -> list[str]:
    """Further proper names right after a value: "(Paris), Rome and New York"."""
    if not MORE_NAMES.match(rest):
        return []
    found = []
    while match := re.match(
        r"\s*(?:,\s*(?:and\s+)?|and\s+|&\s*)(?:in\s+|for\s+)?(?:the\s+)?((?:[A-Z][\w'’-]*\s?)+)",
        rest,
    ):
        found.append(match[1].strip())
        rest = rest[match.end(1) :]
    return found
