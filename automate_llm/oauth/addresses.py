"""Which addresses the documents of OAuth may lead to, and which are the same."""

import re
from urllib.parse import SplitResult, urlsplit

from automate_llm.exceptions import AuthorizationFailed
from automate_llm.values import Connection

_MAX_CHARACTERS = 2_048
# What RFC 3986 lets a URL have, so that no two parsers read it differently.
_PLAIN = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]


def checked(url: object, connection: Connection, what: str) -> str:
    """The address, where it may be asked or given to a browser.

    It is https. Plain http is taken for hosts that the operator listed as private, and for
    loopback where every private address is allowed. Whether the address that a name leads to may
    be dialled, the door decides.

    Raises:
        AuthorizationFailed: it is not; `what` says whose word it was.
    """
    if isinstance(url, str) and len(url) <= _MAX_CHARACTERS and _PLAIN.fullmatch(url):
        parts = _split(url)
        if parts is not None and not parts.fragment and "@" not in parts.netloc:
            scheme, host, port = _origin(parts)
            if scheme == "https" or (scheme == "http" and _plain_http(host, port, connection)):
                return url
    raise AuthorizationFailed(f"{what} is no address that can be trusted: https is needed.")


def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own, by its name."""
    parts = _split(url)
    return parts is not None and parts.hostname in _LOOPBACK


def is_https(url: str) -> bool:
    """Whether it is an https address."""
    parts = _split(url)
    return parts is not None and parts.scheme == "https"


def origin_of(url: str) -> Origin:
    """Scheme, host and port: what two addresses share if they are one server's.

    Raises:
        AuthorizationFailed: this is no http or https address.
    """
    parts = _split(url)
    if parts is None:
        raise AuthorizationFailed("The address is neither http nor https.")
    return _origin(parts)


def origin_url(url: str) -> str:
    """The address without path and query."""
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}"


def covers(resource: str, server_url: str) -> bool:
    """Whether a resource identifier is the server's own, or a part of its path.

    Source: RFC 9728, section 3.3; servers that have one document name their root.
    """
    ours, theirs = _split(server_url), _split(resource)
    if ours is None or theirs is None or theirs.fragment or "@" in theirs.netloc:
        return False
    path, prefix = ours.path.rstrip("/"), theirs.path.rstrip("/")
    within = path == prefix or path.startswith(f"{prefix}/")
    return within and _origin(ours) == _origin(theirs) and theirs.query in ("", ours.query)


def same_issuer(one: str, other: str) -> bool:
    """Whether two names mean one authorization server.

    Letter by letter (RFC 8414, section 3.3), but that an address without a path may end in a
    slash: servers on the Python SDK 1.x write every such issuer with one, whatever it calls itself.
    """
    return one == other or _with_root(one) == _with_root(other)


def _with_root(issuer: str) -> str:
    scheme, _, rest = issuer.partition("://")
    return f"{scheme}://{rest}/" if rest and "/" not in rest else issuer


def canonical(server_url: str) -> str:
    """The server's identifier as RFC 8707 wants it: no fragment, no slash by itself."""
    parts = urlsplit(server_url)
    path = "" if parts.path == "/" else parts.path
    return origin_url(server_url) + path + (f"?{parts.query}" if parts.query else "")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def _origin(parts: SplitResult) -> Origin:
    return parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]


def _plain_http(host: str, port: int, connection: Connection) -> bool:
    if connection.private_hosts is None:
        return host in _LOOPBACK
    listed = {name.lower() for name in connection.private_hosts}
    return bool(listed & {host, f"{host}:{port}"})
