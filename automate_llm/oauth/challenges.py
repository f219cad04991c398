"""What a server's refusal asks for, read from its `WWW-Authenticate` header."""

import re
from collections.abc import Iterator

from .values import Challenge

_MAX_HEADER_CHARACTERS = 8_192
_MAX_SCOPES = 100
_MAX_SCOPE_CHARACTERS = 256

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  a pattern
_PART = re.compile(
    rf'(?P<name>{_TOKEN})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))'
    rf"|(?P<scheme>{_TOKEN})"
)
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def challenge_in(header: str) -> Challenge:
    """The challenge of the schemes `Bearer` and `DPoP`; the first value of each name counts.

    Source: RFC 9110, section 11.6.1; RFC 6750, section 3; RFC 9728, section 5.1.
    """
    values: dict[str, str] = {}
    schemes = set()
    for scheme, name, value in _parameters(header[:_MAX_HEADER_CHARACTERS]):
        if scheme in ("bearer", "dpop"):
            schemes.add(scheme)
            values.setdefault(name, value)
    return Challenge(
        scopes=scopes_in(values.get("scope", "")),
        resource_metadata=values.get("resource_metadata", ""),
        error=values.get("error", ""),
        dpop="dpop" in schemes,
    )


def scopes_in(text: str) -> tuple[str, ...]:
    """The scopes of a list separated by spaces, each once; what is no scope is left out."""
    scopes = (
        scope
        for scope in text.split(" ")
        if len(scope) <= _MAX_SCOPE_CHARACTERS and _SCOPE.fullmatch(scope)
    )
    return tuple(dict.fromkeys(scopes))[:_MAX_SCOPES]


def _parameters(header: str) -> Iterator[tuple[str, str, str]]:
    """Each scheme with each of its parameters; a scheme by itself has one without a name."""
    scheme = ""
    for part in _PART.finditer(header):
        if part["scheme"] is not None:
            scheme = part["scheme"].lower()
            yield scheme, "", ""
        elif part["quoted"] is not None:
            yield scheme, part["name"].lower(), re.sub(r"\\(.)", r"\1", part["quoted"])
        else:
            yield scheme, part["name"].lower(), part["plain"]
