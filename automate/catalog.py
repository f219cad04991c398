"""The tools that a chat may call, ready to be sent to a model.

A turn costs one narrow query: what it lists is compared with what this process has prepared
before, and only a definition that is not yet prepared is read and serialised. Everything kept is
found by the content it was made of, so nothing has to be told when a row changes.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Generic, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser

from automate_llm.exceptions import SchemaError
from automate_llm.functions import definitions_array, function_definition

from .models import MCPTool

logger = logging.getLogger(__name__)

User = AbstractBaseUser | AnonymousUser
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
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

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


Row = tuple[int, str, str]
"""A tool's key, its function name and the hash of its definition."""

# About what the strings and tuples of one row take beside the definition's own text.
_ROW_BYTES = 400
_SHOWN = ("function_name", "definition_hash", "description", "input_schema")

_catalogs: BoundedCache[tuple[Row, ...], Catalog] = BoundedCache(32_000_000)
_definitions: BoundedCache[tuple[str, str], bytes] = BoundedCache(32_000_000)


def catalog_for(user: User) -> Catalog:
    """The tools that this person's chat may call now, in an order that does not change."""
    rows: tuple[Row, ...] = tuple(
        MCPTool.objects.usable_by(user)
        .order_by("function_name")
        .values_list("pk", "function_name", "definition_hash")
    )
    if not rows:
        return Catalog()
    return _catalogs.get(rows) or _prepared(rows)


def tool_for_call(user: User, function_name: str) -> MCPTool | None:
    """The tool that this person's chat means, its server loaded, where it may be called now.

    The same rule as in `catalog_for`, asked again: what the model was shown is not what counts.
    """
    # The rule is read off the row: as conditions of the query it costs as much again to compile.
    try:
        tool = MCPTool.objects.select_related("server").get(function_name=function_name)
    except MCPTool.DoesNotExist:
        return None
    return tool if tool.usable_by(user) else None


def _prepared(rows: tuple[Row, ...]) -> Catalog:
    """The catalog of exactly these rows; a tool that has changed since then is left out of it."""
    known = {row: _definitions.get(row[1:]) for row in rows}
    missing = [row[0] for row, definition in known.items() if definition is None]
    for tool in MCPTool.objects.filter(pk__in=missing).only(*_SHOWN):
        definition = _definition(tool)
        key = tool.function_name, tool.definition_hash
        _definitions.keep(key, definition, len(definition) + _ROW_BYTES)
        known[(tool.pk, *key)] = definition
    shown = [(row, entry) for row in rows if (entry := known[row])]
    catalog = Catalog(
        definitions=definitions_array(entry for _, entry in shown) if shown else b"",
        tool_ids=MappingProxyType({name: pk for (pk, name, _), _ in shown}),
    )
    if None not in (known[row] for row in rows):
        _catalogs.keep(rows, catalog, len(catalog.definitions) + _ROW_BYTES * len(rows))
    return catalog


def _definition(tool: MCPTool) -> bytes:
    """What the model is shown; nothing where no provider could take it, so only it is missing."""
    try:
        return function_definition(tool.function_name, tool.description, tool.input_schema)
    except SchemaError as exc:
        logger.warning("Tool %r is left out of every chat: %s", tool.function_name, exc)
        return b""
