"""What is looked for, and where it stands in a text."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

import regex
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from chat.rendering import visible_text

MAX_CHARACTERS = 200
MAX_WORDS = 12

_WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*")
_ACCENTS = re.compile("[\u0300-\u036f]")
# Scripts that are written without spaces: no index of words finds a word in their middle.
_UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
)
_CELLS = re.compile(r"(?<!\\)\|")
_BLOCK_SIGNS = re.compile(r"^(?: *(?:#{1,6}|>|[-*+]) )+", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\[\]\n]{1,200})\]\([^()\s]{1,400}\)")
_EMPHASIS = re.compile(r"(?<!\w)(?:\*\*|`)|(?:\*\*|`)(?!\w)")


def folded(word: str) -> str:
    """The word without accents, in small letters."""
    if word.isascii():
        return word.lower()
    return _ACCENTS.sub("", unicodedata.normalize("NFD", word)).lower()


@dataclass(frozen=True, slots=True)
class Sought:
    """All of these words are wanted, of the last one its beginning, if that has two letters."""

    words: tuple[str, ...]
    is_scan: bool
    """Whether they are looked for as they stand, in every text: no index of words has them."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Whatever somebody typed. Signs between words mean nothing, unless there is no word."""
        # No database takes a lone surrogate.
        text = visible_text(text)[:MAX_CHARACTERS].encode(errors="ignore").decode()
        words = tuple(dict.fromkeys(_WORD.findall(text)))[:MAX_WORDS]
        if not words or _UNSPACED.search(text):
            return cls(tuple(text.split())[:MAX_WORDS], is_scan=True)
        return cls(words, is_scan=False)

    @property
    def has_beginning(self) -> bool:
        """Whether words that begin like the last one are wanted too."""
        return not self.is_scan and len(self.words[-1]) > 1

    def __bool__(self) -> bool:
        return bool(self.words)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where they stand in the text, from its beginning on."""
        if self.is_scan:
            pattern = "|".join(map(re.escape, self.words))
            yield from (found.span() for found in re.finditer(pattern, text, re.IGNORECASE))
            return
        known = set(map(folded, self.words))
        beginning = folded(self.words[-1])
        for found in _WORD.finditer(text):
            word = folded(found[0])
            if word in known or (self.has_beginning and word.startswith(beginning)):
                yield found.span()


@dataclass(frozen=True, slots=True)
class Match:
    """A message, or the title of a conversation, that holds what is sought."""

    conversation_id: Any
    message_id: int | None
    score: float


class Index(Protocol):
    """Finds what is sought in one person's conversations that are not deleted."""

    def messages(self, user_id: Any, sought: Sought, limit: int) -> list[Match]:
        """The latest messages that hold all the words."""
        ...

    def titles(self, user_id: Any, sought: Sought, limit: int) -> list[Match]:
        """Conversations whose titles hold all the words."""
        ...


def without_markdown(text: str) -> str:
    """An answer's words without the signs that a page would have turned into form.

    Only what is plain: a sign that may belong to the words stays.
    """
    text = _BLOCK_SIGNS.sub("", "\n".join(map(_bare_line, text.split("\n"))))
    return _EMPHASIS.sub("", _LINK.sub(r"\1", text))


def _bare_line(line: str) -> str:
    """A line without the signs of tables; nothing where it is a rule or the fence of a block.

    By hand: an expression for it takes the square of the time on a line that is almost one.
    """
    bare = line.strip()
    if bare.startswith(("```", "~~~")) or ("---" in bare and not bare.strip(" :|-")):
        return ""
    if not bare.startswith("|"):
        return line
    return " · ".join(filter(None, map(str.strip, _CELLS.split(bare))))


def marked(text: str, sought: Sought, around: int = 0) -> SafeString:
    """The text with what was sought in marks; all else in it is escaped.

    `around` is how many characters at most are shown, beginning shortly before the first find;
    nought for all.
    """
    text = " ".join(visible_text(text).split())
    spans = sought.spans(text)
    first = next(spans, None)
    start, end = 0, len(text)
    if around and len(text) > around:
        start = _start(text, first[0] if first else 0, around)
        end = start + around
    parts, done = ["…" if start else ""], start
    span = first
    while span is not None and span[0] < end:
        cut = min(span[1], end)
        parts += [escape(text[done : span[0]]), f"<mark>{escape(text[span[0] : cut])}</mark>"]
        done, span = cut, next(spans, None)
    parts += [escape(text[done:end]), "…" if end < len(text) else ""]
    return mark_safe("".join(parts))  # noqa: S308 # escaped piece by piece


def _start(text: str, first: int, around: int) -> int:
    """Where a piece of the text begins: at a word, a third of the piece before the first find."""
    wanted = min(first - around // 3, len(text) - around)
    if wanted <= 0:
        return 0
    space = text.find(" ", wanted, first)
    return space + 1 if space >= 0 else wanted
