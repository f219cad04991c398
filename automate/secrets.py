"""References to secrets, and the one place where they become values."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from django.conf import settings

from automate_llm.exceptions import SecretUnavailable

from .conf import conf

_MAX_FILE_BYTES = 16_384
_SHORTEST_KEY = 8
"""Characters; a shorter one stands by chance in what is no secret of the site."""
_REFERENCES = ("env:", "file:")


def resolve_secret(reference: str) -> str:
    """The secret that `env:NAME` or `file:PATH` refers to; anything else is the secret itself.

    One line break at the end is dropped, since files and shells add one.

    Raises:
        SecretUnavailable: the variable or file is missing or empty, or the value could not stand
            in a header. The message names the reference, never the value.
    """
    source, value = _read(reference)
    value = value.removesuffix("\n").removesuffix("\r")
    if not (value.isascii() and value.isprintable()):
        raise SecretUnavailable(f"{source} has characters that no HTTP header may carry.")
    return value


def resolve_server_secret(reference: str) -> str:
    """The secret that a server's row refers to, which will be sent to that server.

    Raises:
        SecretUnavailable: as `resolve_secret` does; or `SECRET_REFERENCES` does not allow it, or it
            is a key of the site itself.
    """
    if not is_allowed(reference):
        raise SecretUnavailable(_not_allowed(reference))
    secret = resolve_secret(reference)
    if reference not in conf().SECRET_REFERENCES and any(key in secret for key in _own_keys()):
        raise SecretUnavailable(
            f"{masked_secret(reference)} holds a key of this site itself, which is sent to no "
            "server. Give the server a secret of its own, or write the reference in full into "
            "AUTOMATE['SECRET_REFERENCES']."
        )
    return secret


def resolve_private_key(reference: str) -> str:
    """The private key (PEM) that `env:NAME` or `file:PATH` of a server's row refers to.

    Raises:
        SecretUnavailable: the variable or file is missing or empty, or this is no reference, or
            `SECRET_REFERENCES` does not allow it.
    """
    if is_raw_secret(reference):
        raise SecretUnavailable("A private key is given as env:VAR_NAME or file:/path only.")
    if not is_allowed(reference):
        raise SecretUnavailable(_not_allowed(reference))
    return _read(reference)[1]


def is_allowed(reference: str) -> bool:
    """Whether the row of a server may hold this reference; a secret itself it may.

    A path that goes up (`..`) it may not: it would lead out of the folder that a pattern names.
    """
    if not reference.startswith(_REFERENCES):
        return True
    kind, _, name = reference.partition(":")
    if kind == "file" and ".." in Path(name).parts:
        return False
    return any(fnmatchcase(reference, pattern) for pattern in conf().SECRET_REFERENCES)


def is_raw_secret(reference: str) -> bool:
    """Whether the secret itself lies in the reference."""
    return bool(reference) and not reference.startswith(_REFERENCES)


def masked_secret(reference: str) -> str:
    """The reference as it may be shown: a raw secret becomes dots."""
    return "••••••••" if is_raw_secret(reference) else reference


def authentication_headers(auth_type: str, header_name: str, reference: str) -> dict[str, str]:
    """The headers that carry a server's own credential.

    Raises:
        SecretUnavailable: a credential is asked for and cannot be had.
    """
    match auth_type:
        case "bearer":
            return {"Authorization": f"Bearer {resolve_server_secret(reference)}"}
        case "api_key":
            return {header_name: resolve_server_secret(reference)}
        case _:
            return {}


def _not_allowed(reference: str) -> str:
    return (
        f"AUTOMATE['SECRET_REFERENCES'] in the site's settings does not allow {reference!r} to "
        "servers. Add it there, or change the server's secret."
    )


def _own_keys() -> Iterator[str]:
    """The keys of the site that are known, as far as they can be had."""
    found = [
        settings.SECRET_KEY,
        *settings.SECRET_KEY_FALLBACKS,
        *_mail_passwords(),
        *(database.get("PASSWORD") for database in settings.DATABASES.values()),
    ]
    references = [*conf().ENCRYPTION_KEYS]
    references += [entry["API_KEY"] for entry in conf().MODELS.values() if entry.get("API_KEY")]
    for reference in references:
        with suppress(SecretUnavailable):
            found.append(resolve_secret(reference))
    for key in found:
        if isinstance(key, str) and len(key) >= _SHORTEST_KEY:
            yield key


def _mail_passwords() -> Iterator[Any]:
    """Django 6.1 has `MAILERS` in place of the setting, and lets it be read no more beside them."""
    mailers: Mapping[str, Any] | None = getattr(settings, "MAILERS", None)
    if mailers is not None:
        for each in mailers.values():
            yield each.get("OPTIONS", {}).get("password")
    elif cast(Any, settings).is_overridden("EMAIL_HOST_PASSWORD"):
        yield settings.EMAIL_HOST_PASSWORD


def _read(reference: str) -> tuple[str, str]:
    """What the reference leads to, in words, and the text that is there."""
    kind, separator, name = reference.partition(":")
    if separator and kind == "env":
        source, value = f"The environment variable {name!r}", os.environ.get(name)
    elif separator and kind == "file":
        source, value = f"The file {name!r}", _file_text(name)
    else:
        source, value = "The secret", reference
    if value is None:
        raise SecretUnavailable(f"{source} is not there. Set it, or change the server's secret.")
    if not value.strip():
        raise SecretUnavailable(f"{source} is empty. Set it, or change the server's secret.")
    return source, value


def _file_text(path: str) -> str | None:
    try:
        with Path(path).open("rb") as file:
            return file.read(_MAX_FILE_BYTES).decode()
    except (OSError, ValueError):
        return None
