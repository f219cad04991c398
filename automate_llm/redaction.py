"""Takes a server's own credential out of what comes back from it."""

from typing import Any

REDACTED = "[redacted]"


def redacted(value: Any, secrets: tuple[str, ...]) -> Any:
    """The value, of JSON's types, with each of the secrets replaced in every text and key."""
    match value:
        case str():
            for secret in secrets:
                value = value.replace(secret, REDACTED)
            return value
        case dict():
            return {redacted(key, secrets): redacted(item, secrets) for key, item in value.items()}
        case list():
            return [redacted(item, secrets) for item in value]
        case _:
            return value
