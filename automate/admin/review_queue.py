"""What waits for review: which tools, in what order, and what a reviewer is shown of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.core.paginator import Page, Paginator
from django.db.models import Count, F, Q
from django.http import QueryDict

from automate.definitions import Definition
from automate.differences import FieldChange, definition_changes
from automate.models import MCPTool, MCPToolVersion, reviews

PAGE = 50
"""Tools on one page of the queue."""

MAX_AT_ONCE = 200
"""Tools that one page of confirmation shows, and so that one decision is for."""

MAX_SCHEMA_CHARACTERS = 400_000
"""Of all schemas that one page shows; those that are left out stand on their tools' pages."""

Review = reviews.Review
KINDS: Mapping[str, tuple[reviews.Review, ...]] = {
    "waiting": reviews.WAITING,
    "new": (Review.NEW,),
    "changed": (Review.CHANGED,),
    "rejected": (Review.REJECTED,),
}
_HIGHEST_KEY = 10**18


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of the queue somebody wants to see, by the words of an address.

    `is_confirmation` is for one decision on all that is shown: the tools of `keys`, or all that
    waits of one server.
    """

    kind: str = "waiting"
    server: int | None = None
    words: str = ""
    keys: tuple[int, ...] = ()
    is_confirmation: bool = False

    @classmethod
    def of(cls, query: QueryDict) -> "Asked":
        """What an address asks for; words that mean nothing are passed over."""
        kind = query.get("kind", "")
        keys = tuple(_number(word) for word in query.get("tools", "").split(","))
        chosen = tuple(key for key in keys if key)[:MAX_AT_ONCE]
        server = _number(query.get("server", "")) or None
        return cls(
            kind=kind if kind in KINDS else "waiting",
            server=server,
            words=query.get("q", "").strip()[:100].replace("\0", ""),
            keys=chosen,
            is_confirmation=bool(chosen) or (server is not None and "all" in query),
        )

    def tools(self) -> Any:
        """The tools, those of one server next to each other."""
        tools = MCPTool.objects.filter(available=True).select_related("server")
        if self.keys:
            return tools.filter(pk__in=self.keys).order_by("server__name", "name", "pk")
        tools = tools.filter(review__in=KINDS[self.kind])
        if self.server is not None:
            tools = tools.filter(server=self.server)
        if self.words:
            found = ("name", "title", "description", "server__name")
            words = (Q(**{f"{name}__icontains": self.words}) for name in found)
            tools = tools.filter(_any(words))
        return tools.order_by("server__name", "name", "pk")

    def page(self, number: str | None) -> "Page[MCPTool]":
        """One page of them, with what a reviewer is shown of each."""
        paginator = Paginator(self.tools(), MAX_AT_ONCE if self.is_confirmation else PAGE)
        page: Page[MCPTool] = paginator.get_page(1 if self.is_confirmation else number)
        page.object_list = list(page.object_list)
        return page


@dataclass(frozen=True, slots=True)
class Item:
    """One tool as a reviewer is shown it: how it differs from what was approved, or all of it."""

    tool: MCPTool
    approved: MCPToolVersion | None
    current: MCPToolVersion | None
    decided_by: Any
    changes: list[FieldChange]
    shows_schemas: bool

    @property
    def shown(self) -> str:
        """What a decision is bound to: the tool, and the version that was shown."""
        return f"{self.tool.pk}:{self.tool.version}"


def items_of(tools: Iterable[MCPTool]) -> list[Item]:
    """What is shown of each of these tools; the number of queries does not grow with them."""
    listed = list(tools)
    approved = {row.tool_id: row for row in MCPToolVersion.objects.approved_of(listed)}
    current = {
        row.tool_id: row
        for row in MCPToolVersion.objects.with_decision()
        .filter(tool__in=listed, number=F("tool__version"))
        .defer("definition_text")
    }
    people = get_user_model()._default_manager.in_bulk(
        {row.decided_by_id for row in current.values() if row.decided_by_id}
    )
    items, room = [], MAX_SCHEMA_CHARACTERS
    for tool in listed:
        before, now = approved.get(tool.pk), current.get(tool.pk)
        changes = _changes(before, tool.definition())
        size = 0 if before else len(repr((tool.input_schema, tool.output_schema)))
        room -= size
        items.append(
            Item(
                tool=tool,
                approved=before,
                current=now,
                decided_by=people.get(now.decided_by_id) if now else None,
                changes=changes,
                shows_schemas=not size or room >= 0,
            )
        )
    return items


def counts_by_server() -> list[dict[str, Any]]:
    """How many tools of each server are new, changed and rejected."""
    rows = (
        MCPTool.objects.filter(available=True)
        .exclude(review=Review.APPROVED)
        .values("server", "server__name")
        .annotate(
            new=Count("pk", filter=Q(review=Review.NEW)),
            changed=Count("pk", filter=Q(review=Review.CHANGED)),
            rejected=Count("pk", filter=Q(review=Review.REJECTED)),
        )
        .order_by("server__name", "server")
    )
    return [{**row, "waiting": row["new"] + row["changed"]} for row in rows]


def shown_in(texts: Iterable[str]) -> dict[int, int]:
    """The versions that a page showed, by the keys of their tools."""
    shown: dict[int, int] = {}
    for text in texts:
        for word in text.split():
            key, _separator, version = word.partition(":")
            if _number(key) and _number(version):
                shown[_number(key)] = _number(version)
    return shown


def _changes(before: MCPToolVersion | None, now: Definition) -> list[FieldChange]:
    return [] if before is None else definition_changes(before.definition, now)


def _any(conditions: Iterable[Q]) -> Q:
    found = Q()
    for condition in conditions:
        found |= condition
    return found


def _number(text: str) -> int:
    """The number, 0 where it is none that a row could have."""
    text = text.strip()
    is_number = text.isascii() and text.isdecimal() and len(text) <= 18
    return int(text) if is_number and int(text) <= _HIGHEST_KEY else 0
