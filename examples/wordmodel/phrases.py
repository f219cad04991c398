"""Free words in a message: what follows "in" or "titled", and what a search is for."""

import re
from collections.abc import Collection, Sequence
from itertools import pairwise

from .facts import Fact, Text, Token
from .intent import is_verb
from .words import stem, word_set

Span = tuple[int, int]
Found = tuple[str, int, int]

_EDGE = word_set(
    "available stock left cost costs price prices cheapest open opened new more most other such "
    "please now today currently there one ones something anything everything kind details info "
    "information named called titled about not again first last latest only list number amount "
    "say says like near nearby around within under below between above"
)
_ARTICLES = word_set("the a an my our your this that these those some any all")
_SEARCH_FOR = re.compile(
    r"\b(?:search|look|looking|browse|google|scan|hunt|ask)\b(?:\W+[\w-]+){0,4}?\W+(?:for|about)\b"
    r"|\b(?:about|regarding|concerning|matching|containing|mentioning)\b",
    re.IGNORECASE,
)
_BREAK = re.compile(r"[;:.!?()\n]\s|[,(]|\n|\s[-–—]\s")
MORE_NAMES = re.compile(
    r"(?:,\s[A-Z][\w'’-]*(?:\s[A-Z][\w'’-]*)*)*,?\s(?:and|or|&)\s(?:in\s|the\s)?[A-Z]"
)


def free(start: int, end: int, claimed: Collection[Span]) -> bool:
    """Whether nobody has taken any part of a stretch."""
    return all(end <= first or last <= start for first, last in claimed)


def after(
    text: Text, cue: str, claimed: Collection[Span], *, capital: bool = False
) -> Found | None:
    """The words that follow a cue, up to the next pause, little word or claimed stretch.

    A name with capitals ends with its capitals. `capital` refuses anything else.
    """
    for match in re.finditer(rf"(?<!\w)(?:{cue})\s+", text.text, re.IGNORECASE):
        tokens = [token for token in text.tokens if token.start >= match.end()]
        while tokens and tokens[0].text.casefold() in _ARTICLES:
            tokens.pop(0)
        run = _run(text, tokens, claimed, match.end(), capital=capital)
        if run:
            return text.text[run[0].start : run[-1].end], run[0].start, run[-1].end
    return None


def _run(
    text: Text, tokens: Sequence[Token], claimed: Collection[Span], start: int, *, capital: bool
) -> list[Token]:
    run: list[Token] = []
    proper = bool(tokens) and tokens[0].text[0].isupper()
    if capital and not proper:
        return []
    position = start
    for token in tokens:
        paused = _pauses(text, position, token) and not (
            proper and run and _is_one_name(text, position, token)
        )
        if paused or not free(token.start, token.end, claimed):
            break
        small = not token.text[0].isupper() and not token.text[0].isdigit()
        if token.is_stop and not (proper and token.text.casefold() in ("of", "the")):
            break
        if proper and small and token.text not in ("of", "the", "de", "la", "am", "upon"):
            break
        run.append(token)
        position = token.end
    while run and run[-1].text in ("of", "the", "de", "la", "am", "upon"):
        run.pop()
    return run


def _pauses(text: Text, position: int, token: Token) -> bool:
    return bool(_BREAK.search(text.text[position : token.start + 1]))


def _is_one_name(text: Text, position: int, token: Token) -> bool:
    """Whether a comma stands inside a name, as in "10 Downing Street, London"."""
    before = text.text[:position].split()[-1:]
    capital = bool(before) and before[0][0].isupper() and token.text[0].isupper()
    comma = text.text[position : token.start] == ", "
    return capital and comma and not MORE_NAMES.match(text.text, position)


def proper_name(text: Text, claimed: Collection[Span], trimmed: Collection[str]) -> Found | None:
    """The first name with a capital inside a sentence that is no fact and no trimmed word."""
    taken = [*claimed, *((fact.start, fact.end) for fact in text.facts)]
    for before, token in pairwise(text.tokens):
        inner = text.text[before.end : token.start].isspace() and token.text[0].isupper()
        plain = token.stem not in trimmed and not token.is_stop
        if inner and plain and free(token.start, token.end, taken):
            return after(text, re.escape(before.text), taken, capital=True)
    return None


def rest_after(text: Text, cue: str, claimed: Collection[Span]) -> Found | None:
    """Everything that follows a cue, to the end of the message or the next claimed stretch."""
    match = re.search(rf"(?<!\w)(?:{cue})[\s:]+(?=\S)", text.text, re.IGNORECASE)
    if not match:
        return None
    end = min([first for first, _ in claimed if first >= match.end()], default=len(text.text))
    value = text.text[match.end() : end].strip().rstrip(".!?")
    value = re.sub(r"\s+(?:and|with|to|on|at|in|for|by)$", "", value).strip(" ,;")
    return (value, match.end(), end) if value else None


def subject(text: Text, claimed: Collection[Span], trimmed: Collection[str]) -> Found | None:
    """What the message is about, less the words that only say what to do with it.

    `trimmed` are stems that the chosen tool's name already stands for. They and words of little
    meaning go from both ends of each stretch; what stands between other words stays.
    """
    begin = 0
    if match := _SEARCH_FOR.search(text.text):
        begin = match.end()
    for start in (begin, 0):
        runs = _stretches(text, claimed, start)
        best: list[Token] = []
        for run in runs:
            kept = _trim(run, trimmed)
            weight = sum(not token.is_stop for token in kept)
            if weight > sum(not token.is_stop for token in best):
                best = kept
        if best:
            return text.text[best[0].start : best[-1].end], best[0].start, best[-1].end
    return None


def _stretches(text: Text, claimed: Collection[Span], begin: int) -> list[list[Token]]:
    runs: list[list[Token]] = [[]]
    position = begin
    for token in text.tokens:
        if token.start < begin:
            continue
        blocked = not free(token.start, token.end, claimed)
        paused = _pauses(text, position, token) and not _is_one_name(text, position, token)
        if blocked or paused:
            runs.append([])
        if not blocked:
            runs[-1].append(token)
        position = token.end
    return [run for run in runs if run]


def _trim(run: list[Token], trimmed: Collection[str]) -> list[Token]:
    def idle(token: Token, *, first: bool) -> bool:
        word = token.text.casefold()
        said = token.is_stop or word in _EDGE or token.stem in trimmed
        return said or (first and is_verb(token.stem))

    kept = list(run)
    while kept and idle(kept[0], first=True):
        kept.pop(0)
    while kept and idle(kept[-1], first=False):
        kept.pop()
    return kept


def near(text: Text, fact: Fact, before: int = 3, after_it: int = 2) -> tuple[list[str], list[str]]:
    """The stems of the few words before and after a fact."""
    left = [token for token in text.tokens if token.end <= fact.start][-before:]
    right = [token for token in text.tokens if token.start >= fact.end][:after_it]
    return [stem(token.text) for token in left], [stem(token.text) for token in right]
