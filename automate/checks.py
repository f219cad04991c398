"""What `manage.py check` says about a site's `AUTOMATE` settings and its secrets.

automate.E001  AUTOMATE is no dict
automate.E002  AUTOMATE has a setting that we do not know
automate.E003  a setting is of the wrong type, or out of its range
automate.E004  a model lacks what it needs, or has a key that we do not know
automate.E005  EXECUTOR names none that we know
automate.E006  an entry of MCP_PRIVATE_HOSTS is no `host` or `host:port`
automate.E007  an entry of STDIO_SERVERS cannot be started as it stands
automate.E008  an entry of ENCRYPTION_KEYS is no key
automate.E009  a server wants OAuth, and its libraries are not installed (`check --database`)
automate.E010  WAKE_UPS names none that we know, or one that lacks what it needs
automate.E011  the database does not store every character (`check --database default`)
automate.W001  no model is called 'default'
automate.W002  a server's secret lies in the database as it is (`check --database default`)
automate.W003  a server's OAuth client is pinned to no issuer (`check --database default`)
automate.W004  a key of ENCRYPTION_KEYS cannot be read
"""

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from importlib.util import find_spec
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections

from automate_llm.exceptions import SecretUnavailable

from .conf import EXECUTORS, MODEL_KEYS, PRICE_KEYS, WAKE_UPS, Settings, known_settings
from .encryption import is_key
from .models import MCPServer, MCPServerOAuth
from .secrets import is_raw_secret, resolve_secret
from .stdio import problems_of

# RFC 1123, section 2.1: a host name is labels of letters, digits and hyphens.
_HOST_NAME = re.compile(
    r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.IGNORECASE
)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_amount(value: Any) -> bool:
    return (_is_number(value) or isinstance(value, Decimal)) and 0 <= value < float("inf")


# For each type that a setting has: what it takes, in words, and the test of it.
_EXPECTED: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("text", lambda value: isinstance(value, str)),
    bool: ("True or False", lambda value: isinstance(value, bool)),
    int: ("a whole number of at least 1", lambda value: _is_whole(value) and value >= 1),
    float: ("a number of seconds above 0", lambda value: _is_number(value) and value > 0),
    int | None: (
        "a whole number of at least 0, or None",
        lambda value: value is None or (_is_whole(value) and value >= 0),
    ),
    float | None: (
        "an amount of at least 0, or None",
        lambda value: value is None or _is_amount(value),
    ),
    tuple[str, ...]: (
        "a tuple of texts",
        lambda value: isinstance(value, list | tuple) and all(isinstance(v, str) for v in value),
    ),
    Mapping[str, Mapping[str, Any]]: (
        "a dict of dicts",
        lambda value: (
            isinstance(value, Mapping) and all(isinstance(each, Mapping) for each in value.values())
        ),
    ),
}
_EXPECTED_OF_A_MODEL: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "OPTIONS": ("a dict", lambda value: isinstance(value, Mapping)),
    "TIMEOUT": _EXPECTED[float],
    "CONTEXT_TOKENS": _EXPECTED[int],
    "IMAGES": _EXPECTED[bool],
    "PRICE": (
        "a dict with INPUT, OUTPUT and perhaps CACHED_INPUT, each an amount for a million tokens",
        lambda value: (
            isinstance(value, Mapping)
            and {*PRICE_KEYS[:2]} <= set(value) <= {*PRICE_KEYS}
            and all(_is_amount(each) for each in value.values())
        ),
    ),
}


@register(Tags.compatibility)
def check_settings(
    app_configs: Sequence[AppConfig] | None = None, **options: Any
) -> list[CheckMessage]:
    """Whether `AUTOMATE` can be used as it stands."""
    chosen = getattr(settings, "AUTOMATE", {})
    if not isinstance(chosen, Mapping):
        return [
            Error(
                "AUTOMATE is no dict.",
                hint='Write it as AUTOMATE = {"MODELS": {…}}.',
                id="automate.E001",
            )
        ]
    return [
        *_unknown_settings(chosen),
        *(wrong := list(_wrong_types(chosen))),
        *([] if wrong else _wrong_values(chosen)),
    ]


@register(Tags.database)
def check_secrets(
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **options: Any,
) -> list[CheckMessage]:
    """Whether a server's secret lies in the database instead of being referred to."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        if MCPServerOAuth._meta.db_table not in connections[alias].introspection.table_names():
            continue
        servers = MCPServer.objects.using(alias).order_by("slug")
        own = servers.exclude(auth_secret_ref="").values_list("slug", "auth_secret_ref")
        of_clients = servers.exclude(oauth=None).values_list("slug", "oauth__client_secret_ref")
        found += [
            Warning(
                f"The secret of the MCP server {slug!r} lies in the database as it is.",
                hint="Put it in the environment and store env:VAR_NAME, or in a file and store "
                "file:/path.",
                id="automate.W002",
            )
            for slug, reference in (*own, *of_clients)
            if is_raw_secret(reference)
        ]
    return found


@register(Tags.database)
def check_characters(
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **options: Any,
) -> list[CheckMessage]:
    """Whether MariaDB or MySQL can store what people and models write."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        if connections[alias].vendor != "mysql":
            continue
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT @@character_set_database")
            [characters] = cursor.fetchone()
        if characters != "utf8mb4":
            found.append(
                Error(
                    f"The database {alias!r} stores {characters}, not every character.",
                    hint="ALTER DATABASE … CHARACTER SET utf8mb4, and CONVERT TO CHARACTER SET "
                    "utf8mb4 for each table that is there already.",
                    id="automate.E011",
                )
            )
    return found


@register(Tags.database)
def check_oauth(
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **options: Any,
) -> list[CheckMessage]:
    """Whether the servers behind OAuth have what they need."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        tables = connections[alias].introspection.table_names()
        if MCPServerOAuth._meta.db_table not in tables:
            continue
        servers = MCPServer.objects.using(alias).filter(auth_type__startswith="oauth")
        for slug in servers.order_by("slug").values_list("slug", flat=True):
            found += _missing_libraries(slug)
        loose = MCPServerOAuth.objects.using(alias).filter(issuer="").exclude(client_id="")
        for slug in loose.order_by("server__slug").values_list("server__slug", flat=True):
            found.append(
                Warning(
                    f"The OAuth client of the MCP server {slug!r} is pinned to no issuer: the "
                    "server itself says where its secret is sent.",
                    hint="Enter the issuer on the server's page in the admin.",
                    id="automate.W003",
                )
            )
    return found


def _missing_libraries(slug: str) -> Iterator[CheckMessage]:
    missing = [name for name in ("cryptography", "jwt") if find_spec(name) is None]
    if missing:
        yield Error(
            f"The MCP server {slug!r} wants OAuth, and {' and '.join(missing)} cannot be imported.",
            hint="Install django-automate with the extra 'oauth'.",
            id="automate.E009",
        )


def _unknown_settings(chosen: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for name in sorted(set(chosen) - known_settings(), key=str):
        yield Error(
            f"AUTOMATE has no setting {name!r}.",
            hint=_did_you_mean(name, known_settings()),
            id="automate.E002",
        )


def _wrong_types(chosen: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for setting in fields(Settings):
        if setting.name not in chosen:
            continue
        expected, fits = _EXPECTED[setting.type]
        if not fits(chosen[setting.name]):
            yield Error(
                f"AUTOMATE[{setting.name!r}] must be {expected}, not "
                f"{type(chosen[setting.name]).__name__}.",
                hint=f"Without it the default is {_default(setting.name)!r}.",
                id="automate.E003",
            )


def _wrong_values(chosen: Mapping[str, Any]) -> Iterator[CheckMessage]:
    models = chosen.get("MODELS", {})
    for alias, model in models.items():
        yield from _wrong_model(alias, model)
    if "default" not in models:
        yield Warning(
            "AUTOMATE['MODELS'] has no model called 'default', so no chat can be answered.",
            hint='Add {"default": {"MODEL": "gpt-5-mini", "API_KEY": "env:OPENAI_API_KEY"}}.',
            id="automate.W001",
        )
    if (executor := chosen.get("EXECUTOR", "thread")) not in EXECUTORS:
        yield Error(
            f"AUTOMATE['EXECUTOR'] is {executor!r}, which is none that we know.",
            hint=_did_you_mean(executor, EXECUTORS),
            id="automate.E005",
        )
    yield from _wrong_wake_ups(chosen)
    for name, command in chosen.get("STDIO_SERVERS", {}).items():
        for problem in problems_of(str(name), command):
            yield Error(
                problem,
                hint='Write it as {"command": ["program", "argument"], "env": {}, "cwd": "/path"}.',
                id="automate.E007",
            )
    for position, reference in enumerate(chosen.get("ENCRYPTION_KEYS", ())):
        yield from _wrong_key(position, reference)
    for entry in chosen.get("MCP_PRIVATE_HOSTS", ()):
        if not _is_host(entry):
            yield Error(
                f"AUTOMATE['MCP_PRIVATE_HOSTS'] has {entry!r}, which is no host.",
                hint="Write the exact host, or host:port, as in 'mcp.internal:8080' or "
                "'[::1]:8080'; no scheme, path, wildcard or network.",
                id="automate.E006",
            )


def _wrong_wake_ups(chosen: Mapping[str, Any]) -> Iterator[CheckMessage]:
    name, url = chosen.get("WAKE_UPS", "auto"), chosen.get("REDIS_URL", "")
    if name not in WAKE_UPS:
        yield Error(
            f"AUTOMATE['WAKE_UPS'] is {name!r}, which is none that we know.",
            hint=_did_you_mean(name, WAKE_UPS),
            id="automate.E010",
        )
    elif name == "redis" and not url:
        yield Error(
            "AUTOMATE['WAKE_UPS'] is 'redis', and AUTOMATE['REDIS_URL'] is empty.",
            hint="Set it to the address of the Redis, such as redis://127.0.0.1:6379/0.",
            id="automate.E010",
        )
    elif url and name in ("auto", "redis") and find_spec("redis") is None:
        yield Error(
            "AUTOMATE['REDIS_URL'] is set, and redis cannot be imported.",
            hint="Install django-automate with the extra 'redis'.",
            id="automate.E010",
        )


def _wrong_key(position: int, reference: str) -> Iterator[CheckMessage]:
    where = f"AUTOMATE['ENCRYPTION_KEYS'][{position}]"
    try:
        key = resolve_secret(reference)
    except SecretUnavailable as exc:
        yield Warning(
            f"{where} cannot be read, so that no OAuth token can. {exc}", id="automate.W004"
        )
        return
    if not is_key(key):
        yield Error(
            f"{where} is no Fernet key.",
            hint="Make one: python -c 'from cryptography.fernet import Fernet; "
            "print(Fernet.generate_key().decode())'.",
            id="automate.E008",
        )


def _wrong_model(alias: str, model: Mapping[str, Any]) -> Iterator[CheckMessage]:
    where = f"AUTOMATE['MODELS'][{alias!r}]"
    for key in model:
        expected, fits = _EXPECTED_OF_A_MODEL.get(key, _EXPECTED[str])
        if key not in MODEL_KEYS:
            yield Error(
                f"{where} has {key!r}, which no model takes.",
                hint=_did_you_mean(key, MODEL_KEYS),
                id="automate.E004",
            )
        elif not fits(model[key]):
            yield Error(
                f"{where}[{key!r}] must be {expected}, not {type(model[key]).__name__}.",
                id="automate.E004",
            )
    if not model.get("MODEL"):
        yield Error(
            f"{where} has no MODEL.",
            hint="Name the model as its server calls it, such as 'gpt-5-mini'.",
            id="automate.E004",
        )


def _is_host(entry: str) -> bool:
    if entry.startswith("["):
        host, _, port = entry[1:].partition("]")
        if port and not port.startswith(":"):
            return False
        port = port[1:]
    elif entry.count(":") > 1:
        host, port = entry, ""
    else:
        host, separator, port = entry.partition(":")
        if separator and not port:
            return False
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return ":" not in host and _HOST_NAME.fullmatch(host) is not None
    return True


def _default(name: str) -> Any:
    return getattr(Settings(), name)


def _did_you_mean(name: object, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(str(name).upper(), [each.upper() for each in names], n=1)
    guess = next((each for each in names if near and each.upper() == near[0]), None)
    return f"Did you mean {guess!r}?" if guess else f"Known are: {', '.join(names)}."
