"""JSON from the network, held to limits before anything walks it."""

import json
import math
import re
from typing import Any

from .exceptions import LimitExceeded, ProtocolError

MAX_DEPTH = 64
MAX_ELEMENTS = 400_000

_OPENING = re.compile(rb"[\[{]")
_TOO_MANY_DIGITS = re.compile(rb"\d{300}")


def loads(data: bytes) -> Any:
    """Parse one JSON document.

    `NaN`, `Infinity` and numbers that overflow are kept as floats that are not finite: `storable`
    finds them, so that one bad tool does not cost its list.

    Raises:
        ProtocolError: this is not JSON.
        LimitExceeded: it is nested deeper than 64, has more than 400,000 elements, or a number
            of 300 digits.
    """
    if _TOO_MANY_DIGITS.search(data):
        raise LimitExceeded("The server's answer has a number that is far too long.")
    if len(_OPENING.findall(data)) + data.count(b",") > MAX_ELEMENTS:
        raise LimitExceeded(f"The server's answer has more than {MAX_ELEMENTS:,} elements.")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise ProtocolError("The server's answer is not JSON.") from None
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        raise LimitExceeded(f"The server's answer is nested deeper than {MAX_DEPTH}.")
    return value


def dumps(value: Any) -> bytes:
    """Compact JSON, strictly as RFC 8259 has it.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
        errors="replace"
    )


def storable(value: Any) -> bool:
    """Whether every database takes it: finite numbers, no NUL, no lone surrogate."""
    match value:
        case str():
            return "\x00" not in value and (value.isascii() or _encodable(value))
        case float():
            return math.isfinite(value)
        case dict():
            return all(storable(key) and storable(item) for key, item in value.items())
        case list():
            return all(map(storable, value))
        case _:
            return True


def cleaned(value: Any) -> Any:
    """The value with what no database takes replaced: by U+FFFD in text, by `null` for numbers."""
    if storable(value):
        return value
    match value:
        case str():
            return (
                value.replace("\x00", "\ufffd")
                .encode("utf-16", "surrogatepass")
                .decode("utf-16", "replace")
            )
        case dict():
            return {cleaned(key): cleaned(item) for key, item in value.items()}
        case list():
            return [cleaned(item) for item in value]
        case _:
            return None


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _deeper_than(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True
