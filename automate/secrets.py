"""References to secrets, and the one place where they become values."""

import os
from pathlib import Path

from automate_llm.exceptions import SecretUnavailable

_MAX_FILE_BYTES = 16_384
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


def resolve_private_key(reference: str) -> str:
    """The private key (PEM) that `env:NAME` or `file:PATH` refers to.

    Raises:
        SecretUnavailable: the variable or file is missing or empty, or this is no reference.
    """
    if is_raw_secret(reference):
        raise SecretUnavailable("A private key is given as env:VAR_NAME or file:/path only.")
    return _read(reference)[1]


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
            return {"Authorization": f"Bearer {resolve_secret(reference)}"}
        case "api_key":
            return {header_name: resolve_secret(reference)}
        case _:
            return {}


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
