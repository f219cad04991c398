"""The commands that the site's settings name as MCP servers; a row only refers to one by name."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from automate_llm.exceptions import MCPClientError
from automate_llm.values import StdioCommand

from .conf import conf
from .secrets import is_raw_secret, resolve_secret

PREFIX = "stdio:"
KEYS = ("command", "env", "cwd")
"""What an entry of `STDIO_SERVERS` may hold; `command` it must."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


def stdio_command(endpoint_url: str) -> StdioCommand | None:
    """The command that `stdio:NAME` refers to, its secrets read now; none for other addresses.

    Raises:
        MCPClientError: the settings have no such command, or a broken one.
        SecretUnavailable: a secret of its environment is missing or empty.
    """
    if not endpoint_url.startswith(PREFIX):
        return None
    name = endpoint_url.removeprefix(PREFIX)
    entry = conf().STDIO_SERVERS.get(name)
    if entry is None:
        raise MCPClientError(
            f"AUTOMATE['STDIO_SERVERS'] has no {name!r}. Add it, or change the server's endpoint "
            "URL."
        )
    if problem := next(problems_of(name, entry), ""):
        raise MCPClientError(f"{problem} See `manage.py check`.")
    given: Mapping[str, str] = entry.get("env", {})
    secret = {
        variable: resolve_secret(reference)
        for variable, reference in given.items()
        if reference and not is_raw_secret(reference)
    }
    return StdioCommand(
        arguments=tuple(entry["command"]),
        env={**given, **secret},
        cwd=str(entry.get("cwd") or ""),
        secrets=tuple(secret.values()),
    )


def problems_of(name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with an entry of `STDIO_SERVERS`; no sentence quotes a value."""
    where = f"AUTOMATE['STDIO_SERVERS'][{name!r}]"
    if not isinstance(entry, Mapping):
        yield f"{where} must be a dict."
        return
    if not _NAME.fullmatch(name):
        yield f"{where}: a name has letters, digits, hyphens and underscores only."
    for key in entry:
        if key not in KEYS:
            yield f"{where} has {key!r}, which is none of {', '.join(KEYS)}."
    command, env = entry.get("command"), entry.get("env", {})
    if not isinstance(command, list | tuple) or not command or not all(map(_is_plain, command)):
        yield f"{where}['command'] must be a list of texts: the program, then its arguments."
    if not isinstance(env, Mapping) or not all(
        _is_plain(variable) and "=" not in variable and _is_plain(value)
        for variable, value in env.items()
    ):
        yield f"{where}['env'] must be a dict of texts."
    if not _is_plain(str(entry.get("cwd") or "")):
        yield f"{where}['cwd'] must be a path."


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value
