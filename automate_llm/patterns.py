"""Regular expressions from a schema: ECMA-262 on the outside, `regex` under a time limit inside.

JSON Schema writes patterns in ECMA-262 (2020-12 core, section 6.4). Authors also send what
their own language writes, so `(?P<name>…)`, `(?i)`, `\\A`, `\\Z` and `\\z` are understood too.
"""

from functools import lru_cache
from time import thread_time
from typing import Any

import regex

from .exceptions import SchemaError

MAX_PATTERN = 4_000
"""Characters of one pattern."""

MAX_SUBJECT = 200_000
"""Characters of a text that a pattern is tried on: a repeated group keeps about 100 bytes for
each of them."""

# `regex` writes a repeated part out as often as it must occur: 400 bytes for each atom of it.
_MAX_ATOMS = 2_000

# A set that ignores case is a large table.
_LOOSE_SET = 20

# No text that is tried is longer, so a larger count says the same.
_MAX_COUNT = 1_000_000

# Nearly every match ends within this time and keeps the interpreter's lock. One that let go of it
# would wait for the other threads, and `regex` counts their CPU time as its own.
_QUICK = 0.002

_DIGIT = "0-9"
_WORD = "A-Za-z0-9_"
_SPACE = r"\t\n\x0b\x0c\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_CLASSES = {
    "d": _DIGIT,
    "D": f"[^{_DIGIT}]",
    "w": _WORD,
    "W": f"[^{_WORD}]",
    "s": _SPACE,
    "S": f"[^{_SPACE}]",
}
_BOUNDARY = f"(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}])"
_ANCHORS = {
    "b": f"(?:{_BOUNDARY})",
    "B": f"(?!{_BOUNDARY})",
    "A": r"\A",
    "Z": r"\Z",
    "z": r"\Z",
}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "v": "\v", "f": "\f", "0": "\0"}
_ATOMS = {"^": r"\A", "$": r"\Z", ".": r"[^\n\r\u2028\u2029]", "|": "|"}
_GROUPS = ("(?:", "(?=", "(?!", "(?<=", "(?<!", "(?i:")
_COUNT = regex.compile(r"\{(\d{1,20})(?:(,)(\d{1,20})?)?\}", regex.ASCII)
_NAMED = regex.compile(r"\(\?P?<([A-Za-z_][A-Za-z0-9_]*)>")
_NAME = regex.compile(r"k<([A-Za-z_][A-Za-z0-9_]*)>")
_PROPERTY = regex.compile(r"([pP])\{([A-Za-z0-9_= ]{1,60})\}")
_CODE = regex.compile(r"u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})")
_LOW_SURROGATE = regex.compile(r"\\u([dD][c-fC-F][0-9A-Fa-f]{2})")
_REFERENCE = regex.compile(r"[1-9][0-9]?")


class TooSlow(Exception):
    """The time for one validation is used up."""


class TooLong(Exception):
    """The text is longer than any that a pattern is tried on."""


class Clock:
    """The CPU time that one validation may still use; only its own thread's work counts."""

    __slots__ = ("deadline",)

    def __init__(self, seconds: float) -> None:
        self.deadline = thread_time() + seconds

    def left(self) -> float:
        """The seconds that are left.

        Raises:
            TooSlow: there are none.
        """
        left = self.deadline - thread_time()
        if left <= 0:
            raise TooSlow
        return left


@lru_cache(maxsize=256)
def compile_pattern(source: str) -> Any:
    """The pattern, translated and compiled.

    Raises:
        SchemaError: it is no ECMA-262 pattern, or too long.
    """
    if len(source) > MAX_PATTERN:
        raise SchemaError(f"has more than {MAX_PATTERN:,} characters")
    try:
        return regex.compile(_Translation(source).run(), regex.V1, cache_pattern=False)
    except (regex.error, ValueError, OverflowError, RecursionError, IndexError) as exc:
        raise SchemaError(f"is no regular expression that we know: {str(exc)[:100]}") from None


def matches(source: str, text: str, clock: Clock) -> bool:
    """Whether the pattern occurs in the text. Other threads run while a slow one is tried.

    Raises:
        TooSlow, TooLong: it cannot be found out within the limits.
    """
    if len(text) > MAX_SUBJECT:
        raise TooLong
    pattern = compile_pattern(source)
    try:
        return pattern.search(text, timeout=_QUICK, concurrent=False) is not None
    except TimeoutError:
        pass
    try:
        return pattern.search(text, timeout=clock.left(), concurrent=True) is not None
    except (TimeoutError, MemoryError):
        raise TooSlow from None


class _Translation:
    """One pattern on its way from ECMA-262 to `regex`, read from left to right.

    Every literal goes out escaped, so no syntax that only `regex` knows can slip through.
    `atoms` counts, for each open group, what `regex` will write out.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.out: list[str] = []
        self.atoms = [0]
        self.last = 0
        self.ignores_case = "(?i" in source

    def run(self) -> str:
        source = self.source
        if source.startswith("(?i)"):
            self.out.append("(?i)")
            self.at = 4
        while self.at < len(source):
            character = source[self.at]
            if character == "\\":
                self._atom(self._escape())
            elif character == "[":
                self._atom(self._set(), _LOOSE_SET if self.ignores_case else 1)
            elif character == "(":
                self.out.append(self._group())
                self.atoms.append(1)
                self.last = 0
            elif character == ")":
                self.at += 1
                if len(self.atoms) == 1:
                    raise ValueError("a group is closed that was not opened")
                self._atom(")", self.atoms.pop())
            elif character in "*+?":
                self.at += 1
                self._repeat(character, 1)
            elif character == "{" and (count := _COUNT.match(source, self.at)):
                self.at = count.end()
                low, comma, high = count.groups()
                upper = _clamp(high) if high else ""
                self._repeat(f"{{{_clamp(low)}{comma or ''}{upper}}}", _clamp(low))
            else:
                self.at += 1
                self._atom(_ATOMS.get(character) or _literal(character))
                if character in "^$|":
                    self.last = 0
        return "".join(self.out)

    def _atom(self, text: str, weight: int = 1) -> None:
        self.out.append(text)
        self.last = weight
        self._weigh(weight)

    def _repeat(self, text: str, least: int) -> None:
        if not self.last:
            raise ValueError("nothing to repeat")
        if self.source.startswith("?", self.at):
            self.at += 1
            text += "?"
        self.out.append(text)
        self._weigh(self.last * (max(least, 1) - 1))
        self.last = 0

    def _weigh(self, weight: int) -> None:
        self.atoms[-1] += weight
        if self.atoms[-1] > _MAX_ATOMS:
            raise ValueError("it repeats too much")

    def _group(self) -> str:
        source, at = self.source, self.at
        if not source.startswith("(?", at):
            self.at += 1
            return "("
        for opening in _GROUPS:
            if source.startswith(opening, at):
                self.at += len(opening)
                return opening
        if named := _NAMED.match(source, at):
            self.at = named.end()
            return f"(?<{named[1]}>"
        raise ValueError(f"unknown group {source[at : at + 6]!r}")

    def _escape(self) -> str:
        """The escape at the cursor, outside a set."""
        source, at = self.source, self.at + 1
        letter = source[at : at + 1]
        if letter in _CLASSES:
            self.at += 2
            return _CLASSES[letter] if letter.isupper() else f"[{_CLASSES[letter]}]"
        if letter in _ANCHORS:
            self.at += 2
            return _ANCHORS[letter]
        if reference := _REFERENCE.match(source, at):
            self.at = reference.end()
            return rf"(?:\g<{reference[0]}>)"
        if name := _NAME.match(source, at):
            self.at = name.end()
            return rf"\g<{name[1]}>"
        if found := _PROPERTY.match(source, at):
            self.at = found.end()
            return f"\\{found[1]}{{{found[2]}}}"
        return _literal(self._character())

    def _character(self) -> str:
        """The one character that the escape at the cursor stands for."""
        source, at = self.source, self.at + 1
        if code := _CODE.match(source, at):
            self.at = code.end()
            value = int(next(filter(None, code.groups())), 16)
            if 0xD800 <= value < 0xDC00 and (low := _LOW_SURROGATE.match(source, self.at)):
                self.at = low.end()
                value = 0x10000 + (value - 0xD800) * 0x400 + int(low[1], 16) - 0xDC00
            return chr(value)
        letter = source[at : at + 1]
        if (
            letter == "c"
            and source[at + 1 : at + 2].isascii()
            and source[at + 1 : at + 2].isalpha()
        ):
            self.at += 3
            return chr(ord(source[at + 1]) % 32)
        if not letter or (letter.isalnum() and letter not in _CONTROLS):
            raise ValueError(f"unknown escape {source[self.at : at + 1]!r}")
        self.at += 2
        return _CONTROLS.get(letter, letter)

    def _set(self) -> str:
        source = self.source
        self.at += 1
        negated = source.startswith("^", self.at)
        self.at += negated
        parts: list[str] = []
        while not source.startswith("]", self.at):
            if self.at >= len(source):
                raise ValueError("a set is not closed")
            parts.append(self._member())
        self.at += 1
        if not parts:
            return r"[\s\S]" if negated else "(?!)"
        return f"[{'^' if negated else ''}{''.join(parts)}]"

    def _member(self) -> str:
        """A character, a range or a class inside a set."""
        first = self._set_atom()
        if len(first) > 1 or not self.source.startswith("-", self.at):
            return first if len(first) > 1 else _literal(first)
        if self.source.startswith("]", self.at + 1):
            return _literal(first)
        before = self.at
        self.at += 1
        last = self._set_atom()
        if len(last) > 1:
            self.at = before
            return _literal(first)
        if ord(last) < ord(first):
            raise ValueError("a range is the wrong way round")
        return f"{_literal(first)}-{_literal(last)}"

    def _set_atom(self) -> str:
        """One character as it is, or a class as it must be written: always longer."""
        source, at = self.source, self.at
        if at >= len(source):
            raise ValueError("a set is not closed")
        if source[at] != "\\":
            self.at += 1
            return source[at]
        letter = source[at + 1 : at + 2]
        if letter in _CLASSES:
            self.at += 2
            return _CLASSES[letter]
        if letter == "b":
            self.at += 2
            return "\b"
        if found := _PROPERTY.match(source, at + 1):
            self.at = found.end()
            return f"\\{found[1]}{{{found[2]}}}"
        return self._character()


def _literal(character: str) -> str:
    """The character, so written that it means itself inside a set and outside."""
    if character.isalnum() or not character.isascii():
        return character
    return f"\\x{ord(character):02x}"


def _clamp(count: str) -> int:
    return min(int(count), _MAX_COUNT)
