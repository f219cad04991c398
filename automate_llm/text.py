"""Text from servers without what a person cannot see and a model still reads."""

import json
import re
from collections.abc import Iterator

# Controls but \n and \t, soft hyphen, joiners and fillers, Arabic and bidi marks, Mongolian and
# other variation selectors, zero-width and invisible operators, annotations, shorthand and
# musical controls, tags.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
SURROGATE = re.compile("[\ud800-\udfff]")
_UNSEEN = re.compile(f"{_HIDDEN.pattern}|{SURROGATE.pattern}")


def clean_text(text: str, limit: int) -> str:
    """The text without hidden characters, at most `limit` bytes of UTF-8, cut between characters.

    Half a surrogate pair becomes U+FFFD. Line feeds and tabs stay.
    """
    if text.isascii():
        if text.isprintable() or not _HIDDEN.search(text):
            return text[:limit]
        return _HIDDEN.sub("", text)[:limit]
    text = SURROGATE.sub("\ufffd", _HIDDEN.sub("", text))
    data = text.encode()
    return text if len(data) <= limit else data[:limit].decode(errors="ignore")


def escaped_hidden(text: str) -> str:
    """JSON with the hidden characters of its strings as escapes, so that a person sees them."""
    return _HIDDEN.sub(lambda found: json.dumps(found[0])[1:-1], text)


def parts_by_visibility(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, each with whether people see it; one that they do not see is a character.

    Line feeds and tabs are seen; half a surrogate pair is not.
    """
    done = 0
    for found in _UNSEEN.finditer(text):
        if found.start() > done:
            yield text[done : found.start()], True
        yield found[0], False
        done = found.end()
    if done < len(text):
        yield text[done:], True
