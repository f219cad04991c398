"""Which tools a message is about, by the words they share."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .facts import Text
from .intent import is_write_verb, ordered_verbs
from .tools import Tool
from .words import GENERIC, related, same_meaning, stem, stems

RELATED = 0.6
"""How much a word of the same meaning counts against the word itself."""

_SALE = "search stock product find"
_HINTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\bhow many\b", re.IGNORECASE), "count quantity stock number"),
    (re.compile(r"\bhow much\b", re.IGNORECASE), "price cost amount"),
    (re.compile(r"\bdo you (?:have|sell|stock)\b|\b(?:is|are) there\b", re.IGNORECASE), _SALE),
    (re.compile(r"^\W*where\b", re.IGNORECASE), "location address place track"),
    (re.compile(r"^\W*when\b|\bwhat time\b", re.IGNORECASE), "hour date time schedule"),
    (re.compile(r"how (?:do|can|would) (?:i|we) get (?:from|to)\b", re.IGNORECASE), "direction"),
    (re.compile(r"^\W*(?:what|which)(?: are)?(?: \w+)? \w+s\b", re.IGNORECASE), "list"),
    (re.compile(r"\bhow (?:do|would) (?:you|i|we) say\b", re.IGNORECASE), "translate language"),
    (re.compile(r"^\W*who\b", re.IGNORECASE), "user employee contact person"),
    (re.compile(r"^\W*how (far|long)\b", re.IGNORECASE), "distance route duration"),
)


@dataclass(frozen=True)
class Ranked:
    """A tool, how well it fits, and the stems of the message that it has too."""

    tool: Tool
    score: float
    matched: frozenset[str]


def rank(tools: Sequence[Tool], text: Text) -> list[Ranked]:
    """The tools that share words with the message, best first; writes only where asked for."""
    rarity = _rarity(tools)
    wanted = stems(_without_values(text))
    hinted = [
        stem(word)
        for pattern, hint in _HINTS
        if pattern.search(text.text.strip())
        for word in hint.split()
    ]
    verbs = ordered_verbs(text)
    found = []
    for tool in tools:
        if tool.writes and not any(tool.asked_for_by(verb) for verb in verbs):
            continue
        each = _score(tool, wanted, hinted, verbs, rarity)
        if each.score > 0:
            found.append(each)
    return sorted(found, key=lambda each: -each.score)


def _without_values(text: Text) -> str:
    """The message less what is a value by its form; the words in a file's name choose no tool."""
    said = text.text
    for fact in text.of("code", "url", "email", "path", "quote", "json"):
        said = said[: fact.start] + " " * (fact.end - fact.start) + said[fact.end :]
    return said


def _score(
    tool: Tool, wanted: list[str], hinted: list[str], verbs: list[str], rarity: dict[str, float]
) -> Ranked:
    weights = tool.weights
    score = 0.0
    matched: set[str] = set()
    for term in dict.fromkeys(wanted):
        worth = _worth(term, weights, rarity)
        if worth > 0:
            matched.add(term)
            score += worth
    score += 0.4 * sum(_worth(term, weights, rarity) for term in set(hinted) - set(wanted))
    nouns = [each for each in tool.name_stems if each not in GENERIC and each != tool.verb]
    if nouns and matched:
        known = sum(
            1.0 if noun in wanted else RELATED * any(same_meaning(noun, term) for term in wanted)
            for noun in nouns
        )
        score += 0.5 * known / len(nouns)
    for verb in verbs:
        if is_write_verb(verb) and tool.writes and tool.asked_for_by(verb):
            score += 1.0
        elif tool.verb and same_meaning(verb, tool.verb):
            score += 0.2
    if any(same_meaning(verb, "search") for verb in verbs) and tool.searches_by_words:
        score += 0.4
    return Ranked(tool, score, frozenset(matched))


def _worth(term: str, weights: dict[str, float], rarity: dict[str, float]) -> float:
    worth = weights.get(term, 0.0) * rarity.get(term, 0.0)
    for other in related(term):
        worth = max(worth, RELATED * weights.get(other, 0.0) * rarity.get(other, 0.0))
    return worth


def _rarity(tools: Sequence[Tool]) -> dict[str, float]:
    """How telling each stem is: 1 for a word of one tool, less the more tools share it."""
    counts = Counter(each for tool in tools for each in tool.weights)
    top = math.log(1 + max(len(tools), 2))
    return {each: max(0.15, math.log(1 + len(tools) / n) / top) for each, n in counts.items()}
