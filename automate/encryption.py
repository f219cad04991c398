"""What is stored of OAuth, encrypted: Fernet tokens under the site's own keys.

cryptography comes with the extra `oauth` and is loaded at the first use.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings

from automate_llm.exceptions import MCPClientError

from .conf import conf
from .secrets import resolve_secret

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

_PURPOSE = b"django-automate: OAuth at rest"
_KEPT_RINGS = 4


def sealed(value: Mapping[str, Any]) -> str:
    """The value, of JSON's types, as text that only this site's keys open.

    Raises:
        MCPClientError: a key cannot be had.
    """
    return _ring().encrypt(json.dumps(value).encode()).decode()


def opened(text: str) -> dict[str, Any] | None:
    """What was sealed; `None` where no key opens it, or it is nothing.

    Raises:
        MCPClientError: a key cannot be had.
    """
    if not text:
        return None
    ring = _ring()
    from cryptography.fernet import InvalidToken

    try:
        value = json.loads(ring.decrypt(text.encode()))
    except (InvalidToken, ValueError):
        return None
    return value if isinstance(value, dict) else None


def resealed(text: str) -> str | None:
    """The same under the newest key; `None` where no key opens it.

    Raises:
        MCPClientError: a key cannot be had.
    """
    ring = _ring()
    from cryptography.fernet import InvalidToken

    try:
        return ring.rotate(text.encode()).decode()
    except InvalidToken:
        return None


def is_key(value: str) -> bool:
    """Whether it is a Fernet key: 32 bytes in URL-safe base64."""
    try:
        return len(base64.urlsafe_b64decode(value.encode("ascii"))) == 32
    except ValueError:
        return False


def _ring() -> "MultiFernet":
    """The keys, newest first; those from SECRET_KEY come last, and open what they sealed before
    `ENCRYPTION_KEYS` was set.
    """
    keys = [resolve_secret(reference) for reference in conf().ENCRYPTION_KEYS]
    if not all(map(is_key, keys)):
        raise MCPClientError(
            "AUTOMATE['ENCRYPTION_KEYS'] has a key that is none. See `manage.py check`."
        )
    return _ring_of(tuple(keys), (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@lru_cache(_KEPT_RINGS)
def _ring_of(keys: Sequence[str], site_keys: Sequence[str | bytes]) -> "MultiFernet":
    try:
        from cryptography.fernet import Fernet, MultiFernet
    except ImportError:
        raise MCPClientError(
            "OAuth needs cryptography: install django-automate with the extra 'oauth'."
        ) from None
    derived = [_derived(key.encode() if isinstance(key, str) else key) for key in site_keys]
    return MultiFernet([*map(Fernet, keys), *map(Fernet, derived)])


def _derived(secret: bytes) -> bytes:
    """A Fernet key for this purpose alone. Source: RFC 5869."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    key = HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret)
    return base64.urlsafe_b64encode(key)
