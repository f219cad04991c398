"""Code that a limit cut in two: what goes on with it is code too, in the same language.

A model that goes on after a limit is told to open a new block where it stopped in one. Many write
on in the middle of it instead: the code would be shown as text, and the text after it as code.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Possessive, since a line that is almost a fence must not take the square of its length.
_FENCE = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)([^`\r\n]*+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fence:
    """A line that begins or ends a block of code."""

    marks: str
    info: str

    def closes(self, opening: "Fence") -> bool:
        """Whether the block that the other one opened ends here. Source: CommonMark, 4.5."""
        return not self.info and self.marks.startswith(opening.marks)

    def __str__(self) -> str:
        return self.marks + self.info


def open_fence(text: str) -> Fence | None:
    """What opened the block of code that the text ends in; nothing where it ends in none."""
    opened: Fence | None = None
    for fence in _fences(text):
        if opened is None:
            opened = fence
        elif fence.closes(opened):
            opened = None
    return opened


def rejoined(before: str, text: str, *, is_cut: bool = False) -> str:
    """The text that goes on with another; it opens the block anew that the other ended in.

    It stays as it is where it opens one itself. `is_cut` says that a limit ended it, too: code that
    goes on for so long has no fence at all.
    """
    opened = open_fence(before)
    if opened is None or not text.strip():
        return text
    first = next(_fences(text), None)
    goes_on = is_cut if first is None else first.closes(opened) and not _is_whole(text)
    return f"{opened}\n{text}" if goes_on else text


def _is_whole(text: str) -> bool:
    """Whether its blocks of code begin and end in it.

    A line that opens one in some language stands in no other: there, a block began before the text.
    """
    opened: Fence | None = None
    for fence in _fences(text):
        if opened is None:
            opened = fence
        elif fence.closes(opened):
            opened = None
        elif fence.info:
            return False
    return opened is None


def _fences(text: str) -> Iterator[Fence]:
    return (Fence(found[1], found[2].strip()) for found in _FENCE.finditer(text))
