"""What one entry of an imported list means as a server's row.

Headers become the login that a server has here, which is one secret at most; a command is looked up
in the site's settings and never stored.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.utils.translation import gettext as _

from .conf import conf
from .secrets import is_raw_secret
from .stdio import PREFIX

_URLS = ("url", "serverUrl", "httpUrl", "endpoint")
_PROTOCOLS = {
    "http": "mcp",
    "streamable": "mcp",
    "streamable-http": "mcp",
    "streamableHttp": "mcp",
    "streamable_http": "mcp",
    "sse": "sse",
    "rest": "rest",
}
# `${VAR}`, `${env:VAR}`, `${VAR:-default}`, `${input:x}`, and the `{x}` of the registry.
_REFERENCE = re.compile(r"\$\{(env:|input:)?([A-Za-z_][\w.-]*)(?::-[^}]*)?\}")
_PLACE = re.compile(r"\{([A-Za-z_][\w.-]*)\}")
_SECRET_WORDS = re.compile(r"key|token|secret|passw|auth|credential", re.IGNORECASE)
_LONG = re.compile(r"(?=[^/.@]*\d)(?=[^/.@]*[A-Za-z])[^/.@\s]{20,}")
HIDDEN = "…"


class EntryProblem(Exception):
    """Why an entry cannot become a row; `setting` is what the site's settings would need for it."""

    def __init__(self, message: str, setting: str = "") -> None:
        super().__init__(message)
        self.setting = setting


@dataclass(slots=True)
class Draft:
    """The fields of a row, and what whoever creates it has to know."""

    endpoint_url: str
    title: str = ""
    protocol: str = "auto"
    auth_type: str = "none"
    auth_header: str = "X-API-Key"
    auth_secret_ref: str = ""
    warnings: list[str] = field(default_factory=list)


def draft_of_config(slug: str, config: Any) -> Draft:
    """An entry of `mcpServers`, or of VS Code's `servers`.

    Raises:
        EntryProblem: it has no address, or a command that the site's settings do not have.
    """
    if not isinstance(config, Mapping):
        raise EntryProblem(_("It is no object."))
    url = next((config[name] for name in _URLS if config.get(name)), None)
    if url is None and config.get("command"):
        command = [config["command"], *_texts(config.get("args"))]
        return _command(slug, command, config.get("env"))
    if not isinstance(url, str):
        raise EntryProblem(_("It has neither an address (url) nor a command."))
    draft = Draft(_address(url, {}), protocol=_protocol(config.get("type")))
    _refuse_secret_in_address(draft)
    headers = config.get("headers") or {}
    if not isinstance(headers, Mapping):
        raise EntryProblem(_("Its headers are no object."))
    _take_headers(draft, slug, [(str(name), str(value), True) for name, value in headers.items()])
    return draft


def draft_of_registry(slug: str, server: Any) -> Draft:
    """A `server.json` of the MCP registry: its first address, or else its first package.

    Raises:
        EntryProblem: it has neither, or a command that the site's settings do not have.
    """
    if not isinstance(server, Mapping):
        raise EntryProblem(_("It is no object."))
    remotes = [each for each in _list(server.get("remotes")) if isinstance(each, Mapping)]
    title = str(server.get("title") or "")
    if not remotes:
        return _package(slug, title, _list(server.get("packages")))
    remote = min(remotes, key=lambda each: _protocol(_kind(each)) == "sse")
    variables = remote.get("variables") or {}
    draft = Draft(
        _address(str(remote.get("url") or ""), variables if isinstance(variables, Mapping) else {}),
        title=title,
        protocol=_protocol(_kind(remote)),
    )
    if len(remotes) > 1:
        draft.warnings.append(_("It has more than one address; the first one is taken."))
    _refuse_secret_in_address(draft)
    headers = [each for each in _list(remote.get("headers")) if isinstance(each, Mapping)]
    _take_headers(
        draft,
        slug,
        [
            (
                str(each.get("name") or ""),
                str(each.get("value") or ""),
                bool(each.get("isSecret") or each.get("isRequired") or each.get("is_secret")),
            )
            for each in headers
        ],
    )
    return draft


def variable_name(text: str) -> str:
    """The name of an environment variable for something that is called so."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").upper() or "MCP"
    return f"_{name}" if name[0].isdigit() else name


def _kind(remote: Mapping[str, Any]) -> Any:
    return remote.get("type") or remote.get("transport_type")


def _protocol(kind: Any) -> str:
    return _PROTOCOLS.get(str(kind), "auto")


def _address(url: str, variables: Mapping[str, Any]) -> str:
    """The address, with the defaults of its variables."""
    if _REFERENCE.search(url):
        raise EntryProblem(_("Its address holds a variable; write out the address."))

    def filled(match: re.Match[str]) -> str:
        variable = variables.get(match[1])
        default = variable.get("default") or variable.get("value") if variable else None
        if not isinstance(default, str) or not default:
            words = _("Its address holds the variable {%s}; write out the address.")
            raise EntryProblem(words % match[1])
        return default

    return _PLACE.sub(filled, url.strip())


def _refuse_secret_in_address(draft: Draft) -> None:
    try:
        query = parse_qsl(urlsplit(draft.endpoint_url).query)
    except ValueError:
        return
    if any(_SECRET_WORDS.search(name) for name, _value in query):
        raise EntryProblem(
            _("Its address seems to hold a secret. Leave that out, and use a header instead.")
        )


def _take_headers(draft: Draft, slug: str, headers: Sequence[tuple[str, str, bool]]) -> None:
    """Make the login of the headers; the third of each says whether the server needs it."""
    needed = [each for each in headers if each[2] or each[0].lower() == "authorization"]
    needed.sort(key=lambda each: each[0].lower() != "authorization")
    left = [
        name for name, _value, _needed in headers if name not in {each[0] for each in needed[:1]}
    ]
    if left:
        names = ", ".join(name[:40] for name in left)
        draft.warnings.append(_("A server here sends one header; left out: %s.") % names)
    if not needed:
        return
    name, value, _needed = needed[0]
    is_bearer = name.lower() == "authorization" and value.lower().startswith(("bearer ", "bearer"))
    if is_bearer or (name.lower() == "authorization" and not value):
        draft.auth_type, value = "bearer", value[len("bearer") :].strip()
    else:
        draft.auth_type, draft.auth_header = "api_key", name
    draft.auth_secret_ref = _reference(draft, slug, value)


def _reference(draft: Draft, slug: str, value: str) -> str:
    """Where the secret is to be found; the secret itself is left behind."""
    if value and not is_raw_secret(value):
        return value
    if whole := _REFERENCE.fullmatch(value):
        return f"env:{_variable(whole)}"
    if _REFERENCE.search(value):
        raise EntryProblem(
            _("Its secret is a variable and more; put the whole value into one variable.")
        )
    name = f"{variable_name(slug)}_{'TOKEN' if draft.auth_type == 'bearer' else 'KEY'}"
    if value and not _PLACE.search(value):
        words = _(
            "It holds its secret itself, which is not taken over. Put it into the environment "
            "variable %s."
        )
    else:
        words = _("It needs a secret. Put it into the environment variable %s.")
    draft.warnings.append(words % name)
    return f"env:{name}"


def _variable(reference: re.Match[str]) -> str:
    """The environment variable of a reference; an input of VS Code's has a name of its own."""
    return variable_name(reference[2]) if reference[1] == "input:" else reference[2]


def _command(slug: str, command: Sequence[Any], env: Any) -> Draft:
    """The command of the site's settings that is this one exactly."""
    words = [str(part) for part in command]
    for name, entry in conf().STDIO_SERVERS.items():
        if list(entry.get("command", ())) == words:
            return Draft(f"{PREFIX}{name}")
    shown = ", ".join(map(_quoted, masked_command(words)))
    variables = env if isinstance(env, Mapping) else {}
    pairs = ", ".join(
        f"{_quoted(name)}: {_quoted(value)}" for name, value in _settings_of(variables.items())
    )
    setting = f'{_quoted(slug or "name")}: {{"command": [{shown}]'
    setting += f', "env": {{{pairs}}}}},' if pairs else "},"
    raise EntryProblem(
        _(
            "It is a command. Those are started only where the site's settings name them; add to "
            "STDIO_SERVERS in AUTOMATE, and import it again:"
        ),
        setting,
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _settings_of(variables: Any) -> Iterator[tuple[str, str]]:
    """The environment of a command as references: no value is shown."""
    for name, value in variables:
        whole = _REFERENCE.fullmatch(str(value))
        yield str(name)[:100], f"env:{_variable(whole) if whole is not None else name}"[:100]


def masked_command(words: Sequence[str]) -> Iterator[str]:
    """The words of a command, without what looks like a secret."""
    hides_next = False
    for word in words:
        option, separator, value = word.partition("=")
        is_option = option.startswith("-")
        if hides_next and not is_option:
            yield HIDDEN
        elif separator and _SECRET_WORDS.search(option):
            yield f"{option}={HIDDEN}"
        elif _LONG.fullmatch(value or word):
            yield f"{option}={HIDDEN}" if separator else HIDDEN
        else:
            yield word[:200]
        hides_next = is_option and not separator and bool(_SECRET_WORDS.search(option))


def _package(slug: str, title: str, packages: Sequence[Any]) -> Draft:
    for package in packages:
        if isinstance(package, Mapping):
            command = list(_package_command(package))
            if command:
                variables = {
                    str(each.get("name")): ""
                    for each in _list(package.get("environmentVariables"))
                    if isinstance(each, Mapping) and each.get("name")
                }
                draft = _command(slug, command, variables)
                draft.title = title
                return draft
    raise EntryProblem(_("It has no address, and no package that could be started."))


def _package_command(package: Mapping[str, Any]) -> Iterator[str]:
    """The command that its registry's own tool starts it by."""
    identifier, version = str(package.get("identifier") or ""), str(package.get("version") or "")
    kind = package.get("registryType")
    starters = {
        "npm": ("npx", ["-y"], f"{identifier}@{version}" if version else identifier),
        "pypi": ("uvx", [], f"{identifier}@{version}" if version else identifier),
        "oci": ("docker", ["run", "-i", "--rm"], identifier),
        "nuget": ("dnx", ["--yes"], f"{identifier}@{version}" if version else identifier),
    }
    if not identifier or kind not in starters:
        return
    program, options, what = starters[str(kind)]
    yield str(package.get("runtimeHint") or program)
    yield from _arguments(package.get("runtimeArguments")) or options
    yield what
    yield from _arguments(package.get("packageArguments"))


def _arguments(arguments: Any) -> list[str]:
    words = []
    for argument in _list(arguments):
        if isinstance(argument, Mapping):
            value = argument.get("value") or argument.get("default") or ""
            parts = [argument.get("name"), value] if argument.get("type") == "named" else [value]
            words += [str(part) for part in parts if part]
    return words


def _texts(value: Any) -> list[str]:
    return [str(each) for each in _list(value)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
