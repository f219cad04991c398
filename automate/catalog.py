"""The tools that a chat may call, ready to be sent to a model.

A turn costs one narrow query, and one for the rules. What they list is compared with what this
process has prepared before, and only a definition that is not yet prepared is read and serialised.
Everything kept is found by the content it was made of, so nothing has to be told of a change.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from types import MappingProxyType
from typing import Generic, TypeVar

from automate_llm.exceptions import SchemaError
from automate_llm.functions import definitions_array, function_definition

from .compiled import CompiledQuery, Place
from .models import MCPServer, MCPTool
from .models.permissions import User, permissions_lacked
from .policy import Outline, Policy, Scope

logger = logging.getLogger(__name__)

Key = TypeVar("Key", bound=Hashable)
Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class Catalog:
    """What one person's chat may call.

    `definitions` is the JSON array for OpenAI's `tools`, `b""` where there is none, and the same
    bytes for the same tools. `tool_ids` leads from a function's name to its tool's key.
    """

    definitions: bytes = b""
    tool_ids: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


class BoundedCache(Generic[Key, Kept]):
    """Keeps what was used last, up to a number of bytes. Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[Key, tuple[Kept, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Kept | None:
        """What was kept under this key, if it still is."""
        with self._lock:
            if (kept := self._kept.get(key)) is None:
                return None
            self._kept.move_to_end(key)
            return kept[0]

    def keep(self, key: Key, value: Kept, size: int) -> None:
        """Keep a value that takes this many bytes; the longest unused make room for it."""
        with self._lock:
            if key in self._kept:
                self._bytes -= self._kept.pop(key)[1]
            self._kept[key] = value, size
            self._bytes += size
            while self._bytes > self._max_bytes:
                _, (_, freed) = self._kept.popitem(last=False)
                self._bytes -= freed


Row = tuple[int, str, str, int, str, str]
"""A tool's key, function name and definition hash, its server, and the permissions it requires."""

# About what the strings and tuples of one row take beside the definition's own text.
_ROW_BYTES = 400
_SHOWN = ("function_name", "definition_hash", "description", "input_schema")

_LISTED = ("pk", "function_name", "definition_hash", "server_id", *MCPTool.PERMISSIONS)
# What a function of the site's own may look at without a further query for each tool.
_UNREAD = ("input_schema", "output_schema")

_ALL_SHOWN = Outline()
_NOTHING = Scope()
_required_permissions = itemgetter(4, 5)
_listed: CompiledQuery[Row] = CompiledQuery(
    lambda: MCPTool.objects.usable().order_by("function_name").values_list(*_LISTED)
)
_named = CompiledQuery(
    lambda: MCPTool.objects.select_related("server").filter(
        function_name=Place(MCPTool, "function_name")
    )
)
_catalogs: BoundedCache[tuple[Row, ...], Catalog] = BoundedCache(32_000_000)
_definitions: BoundedCache[tuple[str, str], bytes] = BoundedCache(32_000_000)


def catalog_for(user: User, left_out: Scope = _NOTHING) -> Catalog:
    """The tools that this person's chat may call now, in an order that does not change.

    `left_out` are those that the person does not want; they take nothing away from the rules.
    """
    if not user.is_active:
        return Catalog()
    rows = tuple(_listed.rows())
    policy = Policy(user)
    lacked = permissions_lacked(user, set(map(_required_permissions, rows)))
    outline = policy.outline if policy.hook is None else _outline_of_each(policy, rows)
    if lacked or outline != _ALL_SHOWN:
        rows = tuple(
            row
            for row in rows
            if _required_permissions(row) not in lacked and outline.shows(row[0], row[3])
        )
    if left_out != _NOTHING:
        rows = tuple(row for row in rows if not left_out.has(row[0], row[3]))
    if not rows:
        return Catalog()
    return _catalogs.get(rows) or _prepared(rows)


def tool_for_call(user: User, function_name: str) -> MCPTool | None:
    """The tool that this person's chat means, its server loaded, where it may be called now.

    The same rule as in `catalog_for`, asked again: what the model was shown is not what counts.
    """
    # The rule is read off the row, which is there then to be held against the arguments.
    tool = _named.first(function_name=function_name)
    return tool if tool is not None and tool.usable_by(user) else None


def _outline_of_each(policy: Policy, rows: tuple[Row, ...]) -> Outline:
    """What is hidden where a function of the site's own must look at each tool."""
    servers = MCPServer.objects.in_bulk({row[3] for row in rows})
    hidden = {row[0] for row in rows}
    for tool in MCPTool.objects.usable().defer(*_UNREAD).order_by():
        if tool.pk in hidden and tool.server_id in servers:
            tool.server = servers[tool.server_id]
            if policy.shows(tool):
                hidden.remove(tool.pk)
    return Outline(Scope(tools=hidden))


def _prepared(rows: tuple[Row, ...]) -> Catalog:
    """The catalog of exactly these rows; a tool that has changed since then is left out of it."""
    known = {row[:3]: _definitions.get(row[1:3]) for row in rows}
    missing = [pk for (pk, _name, _hash), definition in known.items() if definition is None]
    for tool in MCPTool.objects.filter(pk__in=missing).only(*_SHOWN):
        definition = _definition(tool)
        key = tool.function_name, tool.definition_hash
        _definitions.keep(key, definition, len(definition) + _ROW_BYTES)
        known[(tool.pk, *key)] = definition
    shown = [(row, entry) for row in rows if (entry := known[row[:3]])]
    catalog = Catalog(
        definitions=definitions_array(entry for _, entry in shown) if shown else b"",
        tool_ids=MappingProxyType({row[1]: row[0] for row, _ in shown}),
    )
    if None not in (known[row[:3]] for row in rows):
        _catalogs.keep(rows, catalog, len(catalog.definitions) + _ROW_BYTES * len(rows))
    return catalog


def _definition(tool: MCPTool) -> bytes:
    """What the model is shown; nothing where no provider could take it, so only it is missing."""
    try:
        return function_definition(tool.function_name, tool.description, tool.input_schema)
    except SchemaError as exc:
        logger.warning("Tool %r is left out of every chat: %s", tool.function_name, exc)
        return b""
