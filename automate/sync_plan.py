"""What a sync must write so that the stored tools are those that a server offers now."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from django.utils import timezone

from automate_llm.functions import function_name
from automate_llm.values import Discovery, SkippedTool, ToolSpec

from .definitions import Definition, Pinned, pinned, schema_problem
from .models import MCPServer, MCPTool
from .models.reviews import WAITING
from .offering_sync import OfferingReport


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one sync did with one server; `error` says why it did nothing.

    `skipped` are the tools that were left out; of a list that is the same as at the last sync
    they stand in the server's `last_warning`. `waiting` counts the added and changed tools that
    await somebody's approval. `beside` is about the server's resources and prompts.
    """

    slug: str
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    skipped: list[SkippedTool] = field(default_factory=list)
    unchanged: int = 0
    waiting: int = 0
    beside: OfferingReport = field(default_factory=OfferingReport)
    error: str = ""

    @property
    def summary(self) -> str:
        """What happened in a few words, or the error."""
        if self.error:
            return self.error
        counts = {
            "added": len(self.added),
            "changed": len(self.changed),
            "gone": len(self.gone),
            "returned": len(self.returned),
            "left out": len(self.skipped),
            "unchanged": self.unchanged,
            "awaiting approval": self.waiting,
        }
        words = [f"{n} {what}" for what, n in counts.items() if n] or ["no tools"]
        return ", ".join([*words, *self.beside.words])


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What has to be written so that the stored tools are those that were discovered.

    `new` and `updated` are rows as they should be; `defined` are those of them whose definition is
    one that was not seen before, with what pins it. Of `gone` and `returned`, which are the keys of
    rows, only `available` changes.
    """

    new: list[MCPTool]
    updated: list[MCPTool]
    defined: list[tuple[MCPTool, Pinned]]
    gone: list[int]
    returned: list[int]
    report: SyncReport


def plan_sync(existing: Iterable[MCPTool], discovery: Discovery, server: MCPServer) -> SyncPlan:
    """Compare a server's stored tools with those that it offers now; touches neither.

    The first sync is trusted, and so is a server with `accept_changes`. From any other a new
    tool arrives disabled, and a changed one stops until its definition is approved, or is again
    the one that was.
    """
    trusted = server.accept_changes or not server.tools_digest
    stored, now = {tool.name: tool for tool in existing}, timezone.now()
    new, updated, defined, back = [], [], [], []
    added, changed, returned = [], [], []
    for spec in discovery.tools:
        definition = _definition(spec)
        current = pinned(definition)
        tool = stored.pop(spec.name, None)
        if tool is None:
            added.append(spec.name)
            new.append(_new_tool(server, definition, current, now, trusted=trusted))
            defined.append((new[-1], current))
            continue
        if not tool.available:
            returned.append(spec.name)
        if tool.definition_hash != current.hash:
            changed.append(spec.name)
            updated.append(_redefined(tool, definition, current, trusted=trusted))
            defined.append((updated[-1], current))
        elif tool.schema_error and schema_problem(spec.input_schema) != tool.schema_error:
            updated.append(_rechecked(tool))
        elif not tool.available:
            back.append(tool.pk)
    gone = [tool for tool in stored.values() if tool.available]
    report = SyncReport(
        server.slug,
        added=added,
        changed=changed,
        gone=[tool.name for tool in gone],
        returned=returned,
        skipped=list(discovery.skipped),
        unchanged=len(discovery.tools) - len({*added, *changed, *returned}),
        waiting=sum(row.review in WAITING for row in (*new, *updated)),
    )
    gone_keys = [tool.pk for tool in gone]
    return SyncPlan(new, updated, defined, gone_keys, back, report)


def _definition(spec: ToolSpec) -> Definition:
    return {
        "name": spec.name,
        "title": spec.title,
        "description": spec.description,
        "input_schema": spec.input_schema,
        "output_schema": spec.output_schema,
        "annotations": spec.annotations,
    }


def _new_tool(
    server: MCPServer, definition: Definition, current: Pinned, now: datetime, *, trusted: bool
) -> MCPTool:
    values = {
        **_blank_tool(),
        **definition,
        "server_id": server.pk,
        "function_name": function_name(server.slug, definition["name"]),
        "definition_hash": current.hash,
        "approved_hash": current.hash if trusted else "",
        "approved_version": 1 if trusted else None,
        "schema_error": current.problem(),
        "enabled": trusted,
        "review": MCPTool.Review.APPROVED if trusted else MCPTool.Review.NEW,
        "first_seen": now,
        "changed_at": now,
    }
    # By position, which takes Django a third of the time that names take it.
    tool = MCPTool(*values.values())
    tool.server = server
    return tool


@cache
def _blank_tool() -> dict[str, Any]:
    """The defaults, in the order of the columns.

    Those that a row could change in place are never left as they are.
    """
    return {field.attname: field.get_default() for field in MCPTool._meta.concrete_fields}


def _redefined(tool: MCPTool, definition: Definition, current: Pinned, *, trusted: bool) -> MCPTool:
    """The row with its new definition, a version later; a new tool stays one until it is seen."""
    row = copy.copy(tool)
    for name, value in definition.items():
        setattr(row, name, value)
    row.definition_hash = current.hash
    row.schema_error = current.problem()
    row.version = tool.version + 1
    row.changed_at = timezone.now()
    row.available = True
    if tool.review == MCPTool.Review.NEW:
        return row
    # What a person has refused is no longer taken on trust.
    trusted = trusted and tool.review != MCPTool.Review.REJECTED
    if trusted or current.hash == tool.approved_hash:
        row.review = MCPTool.Review.APPROVED
        row.approved_hash, row.approved_version = current.hash, row.version
    elif tool.approved_version is None:
        row.review = MCPTool.Review.NEW
    else:
        row.review = MCPTool.Review.CHANGED
    return row


def _rechecked(tool: MCPTool) -> MCPTool:
    row = copy.copy(tool)
    row.schema_error = schema_problem(tool.input_schema)
    row.available = True
    return row
