"""The servers and tools that a person leaves out of a conversation: how that is written down.

It only ever narrows what rights and policy allow, so a number that means nothing does no harm.
"""

import re
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from automate.policy import Scope

MAX_LEFT_OUT = 1_000
"""Servers and tools together; whoever wants fewer leaves out whole servers."""

_REFERENCE = re.compile(r"([st])([1-9][0-9]{0,17})")


def scope_of(stored: Any) -> Scope:
    """What a row holds, or what came by JSON: `servers` and `tools`, each a list of keys."""
    found = stored if isinstance(stored, dict) else {}
    return Scope(servers=_keys(found.get("servers")), tools=_keys(found.get("tools")))


def stored(scope: Scope) -> dict[str, list[int]]:
    """What a row is to hold.

    Raises:
        ValidationError: it is too much.
    """
    if len(scope.servers) + len(scope.tools) > MAX_LEFT_OUT:
        raise ValidationError(
            _("More than %(limit)s tools cannot be left out. Leave out their server instead.")
            % {"limit": f"{MAX_LEFT_OUT:,}"},
            code="left_out",
        )
    return {"servers": sorted(scope.servers), "tools": sorted(scope.tools)}


def parsed(text: str) -> Scope:
    """What a form holds, such as `s3 t14 t15`; whatever is no such reference is passed over."""
    references = [_REFERENCE.fullmatch(word) for word in text[:20_000].split()]
    pairs = [(found[1], int(found[2])) for found in references if found]
    return Scope(
        servers={key for kind, key in pairs if kind == "s"},
        tools={key for kind, key in pairs if kind == "t"},
    )


def written(scope: Scope) -> str:
    """The same for a form, in an order that does not change."""
    servers = (f"s{key}" for key in sorted(scope.servers))
    tools = (f"t{key}" for key in sorted(scope.tools))
    return " ".join((*servers, *tools))


def changed(scope: Scope, reference: str, *, out: bool) -> Scope:
    """With one server or tool left out, or taken in again."""
    one = parsed(reference)
    if out:
        return Scope(servers=scope.servers | one.servers, tools=scope.tools | one.tools)
    return Scope(servers=scope.servers - one.servers, tools=scope.tools - one.tools)


def _keys(listed: Any) -> frozenset[int]:
    keys: Iterable[Any] = listed if isinstance(listed, list) else ()
    return frozenset(key for key in keys if type(key) is int)
