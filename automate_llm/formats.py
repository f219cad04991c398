"""The values of `format` that arguments are held to; any other is a note to the reader.

Each check is linear in the length of the text. Source: JSON Schema 2020-12 validation, section 7.
"""

import re
from collections.abc import Callable
from datetime import date
from ipaddress import AddressValueError, IPv4Address, IPv6Address

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(
    r"([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(\.\d{1,12})?([zZ]|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_EMAIL = re.compile(r"[^\s@<>()\[\],;:\\\"]{1,64}@[^\s@<>()\[\],;:\\\"]{1,255}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!#$%&'()*+,./0-9:;=?@A-Z\[\]_a-z~-]*")
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def is_date(text: str) -> bool:
    """RFC 3339, section 5.6, `full-date`."""
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_time(text: str) -> bool:
    """RFC 3339, section 5.6, `full-time`: with an offset, and a leap second where it may stand."""
    return _TIME.fullmatch(text) is not None


def is_date_time(text: str) -> bool:
    """RFC 3339, section 5.6, `date-time`."""
    return len(text) > 10 and text[10] in "tT" and is_date(text[:10]) and is_time(text[11:])


def is_email(text: str) -> bool:
    """RFC 5321, section 4.1.2, without quoted local parts and address literals."""
    if not _EMAIL.fullmatch(text):
        return False
    return all(part and ".." not in part and part.strip(".") == part for part in text.split("@"))


def is_uri(text: str) -> bool:
    """RFC 3986: a scheme, then only characters of a URI."""
    return _URI.fullmatch(text) is not None and not _BROKEN_PERCENT.search(text)


def is_uuid(text: str) -> bool:
    """RFC 9562, section 4: hexadecimal digits with dashes."""
    return _UUID.fullmatch(text) is not None


def is_ipv4(text: str) -> bool:
    """RFC 2673, section 3.2: four decimal numbers."""
    return len(text) <= 15 and _parses(IPv4Address, text)


def is_ipv6(text: str) -> bool:
    """RFC 4291, section 2.2, without a zone."""
    return len(text) <= 45 and "%" not in text and _parses(IPv6Address, text)


def _parses(address: Callable[[str], object], text: str) -> bool:
    try:
        address(text)
    except AddressValueError:
        return False
    return True


FORMATS: dict[str, Callable[[str], bool]] = {
    "date": is_date,
    "date-time": is_date_time,
    "email": is_email,
    "ipv4": is_ipv4,
    "ipv6": is_ipv6,
    "time": is_time,
    "uri": is_uri,
    "uuid": is_uuid,
}
