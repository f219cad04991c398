"""Where an endpoint's address leads: what may be sent there, and what not without being asked."""

from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> str:
    """The scheme, host and port of an address, as RFC 6454 compares them; of a command, itself.

    A secret is for one origin: nobody who may edit a server, but does not know its secret, may have
    it sent anywhere else.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return url
    if parts.scheme not in _PORTS or not host:
        return url
    return f"{parts.scheme}://{host}:{port or _PORTS[parts.scheme]}"


def leads_elsewhere(before: str, after: str) -> bool:
    """Whether a secret that was given for one address must not be sent to the other."""
    return origin(before) != origin(after)
