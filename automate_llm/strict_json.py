"""JSON from the network, held to limits before anything walks it."""

import json
import math
import re
from typing import Any

from .exceptions import LimitExceeded, ProtocolError

MAX_DEPTH = 64
MAX_ELEMENTS = 400_000
MAX_DIGITS = 300

# The closing quote may be missing at the end, so that no document makes this quadratic.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_UTF8_MARK = b"\xef\xbb\xbf"


def loads(data: bytes) -> Any:
    """Parse one JSON document in UTF-8.

    `NaN`, `Infinity` and numbers that overflow are kept as floats that are not finite: `storable`
    finds them, so that one bad tool does not cost its list.

    Raises:
        ProtocolError: this is not JSON.
        LimitExceeded: it is nested deeper than 64, has more than 400,000 elements, or an integer
            of more than 300 digits.
    """
    if _elements(data) > MAX_ELEMENTS and _elements(_STRING.sub(b"", data)) > MAX_ELEMENTS:
        raise LimitExceeded(
            f"The server's answer has more than {MAX_ELEMENTS:,} elements.", may_have_run=True
        )
    try:
        value = _DECODER.decode(data.removeprefix(_UTF8_MARK).decode(errors="surrogatepass"))
    except (ValueError, RecursionError):
        raise ProtocolError("The server's answer is not JSON.", may_have_run=True) from None
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and nested_deeper(value, MAX_DEPTH):
        raise LimitExceeded(
            f"The server's answer is nested deeper than {MAX_DEPTH}.", may_have_run=True
        )
    return value


def dumps(value: Any) -> bytes:
    """Compact JSON, strictly as RFC 8259 has it.

    Raises:
        ValueError: a number is not finite, or the value contains itself.
        TypeError: something in it has no form in JSON.
        RecursionError: it is nested too deep.
    """
    return _ENCODER.encode(value).encode(errors="replace")


def storable(value: Any) -> bool:
    """Whether every database takes it: finite numbers, no NUL, no lone surrogate."""
    try:
        text = _ENCODER.encode(value)
        text.encode()
    except ValueError:
        return False
    # The escape of NUL may be plain text behind a backslash of its own.
    return "\\u0000" not in text or not _has_nul(value)


def cleaned(value: Any) -> Any:
    """The value with what no database takes replaced: by U+FFFD in text, by `null` for numbers."""
    return value if storable(value) else _cleaned(value)


def _cleaned(value: Any) -> Any:
    match value:
        case str():
            return (
                value.replace("\x00", "\ufffd")
                .encode("utf-16", "surrogatepass")
                .decode("utf-16", "replace")
            )
        case dict():
            return {_cleaned(key): _cleaned(item) for key, item in value.items()}
        case list():
            return [_cleaned(item) for item in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value


def _has_nul(value: Any) -> bool:
    match value:
        case str():
            return "\x00" in value
        case dict():
            return any(_has_nul(key) or _has_nul(item) for key, item in value.items())
        case list():
            return any(map(_has_nul, value))
        case _:
            return False


def _elements(data: bytes) -> int:
    return data.count(b",") + data.count(b"{") + data.count(b"[")


def nested_deeper(value: Any, limit: int) -> bool:
    """Whether arrays and objects stand inside this one in more than `limit` levels, itself one."""
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for item in level
            for inner in (item.values() if type(item) is dict else item)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise LimitExceeded(
            "The server's answer has a number that is far too long.", may_have_run=True
        )
    return int(digits)


_DECODER = json.JSONDecoder(parse_int=_integer)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
