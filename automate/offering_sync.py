"""Bring the stored resources and prompts of a server in line with what it offers.

The rules of tools: what the first sync finds is trusted, what appears later arrives disabled, what
vanishes is kept and marked, and a list that could not be had changes nothing.
"""

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from django.db import connections, router, transaction
from django.utils import timezone

from automate_llm.offerings import Offerings

from .asking import Found
from .databases import statements_of_any_length
from .models import MCPPrompt, MCPResource, MCPServer
from .models.offerings import Offering

Row = TypeVar("Row", bound=Offering)


@dataclass(frozen=True, slots=True)
class OfferingChanges:
    """What a sync did with a server's resources, or with its prompts.

    `waiting` counts the added ones that are disabled until somebody has looked at them.
    """

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    unchanged: int = 0
    waiting: int = 0

    @property
    def listed(self) -> int:
        """How many the server offers now."""
        return self.unchanged + len({*self.added, *self.changed, *self.returned})

    @property
    def summary(self) -> str:
        """What happened in a few words; nothing where there are none."""
        counts = {
            "added": len(self.added),
            "changed": len(self.changed),
            "gone": len(self.gone),
            "returned": len(self.returned),
            "unchanged": self.unchanged,
            "off until they are switched on": self.waiting,
        }
        return ", ".join(f"{n} {what}" for what, n in counts.items() if n)


@dataclass(frozen=True, slots=True)
class OfferingReport:
    """What a sync did with what a server offers beside tools; `warning` says what is not as it
    should be."""

    resources: OfferingChanges = field(default_factory=OfferingChanges)
    prompts: OfferingChanges = field(default_factory=OfferingChanges)
    warning: str = ""

    @property
    def words(self) -> list[str]:
        """What happened in a few words for each kind that the server has."""
        return [
            f"{words} {changes.summary}"
            for words, changes in (("resources:", self.resources), ("prompts:", self.prompts))
            if changes.summary
        ] + ([self.warning] if self.warning else [])


@dataclass(frozen=True, slots=True)
class OfferingPlan:
    """What has to be written; `rows` are new or as they should be, all of one class."""

    new: list[Any]
    updated: list[Any]
    gone: list[int]
    changes: OfferingChanges


def plan_offerings(
    existing: Iterable[Row],
    offered: Mapping[str, Mapping[str, Any]],
    kind: type[Row],
    server: MCPServer,
    *,
    trusted: bool,
) -> OfferingPlan:
    """Compare stored rows with what is offered now, by what the server calls it; touches neither.

    A row that a person switched off stays off.
    """
    stored = {getattr(row, kind.KEY): row for row in existing}
    new, updated = [], []
    added, changed, returned = [], [], []
    for key, parts in offered.items():
        row = stored.pop(key, None)
        if row is None:
            added.append(key)
            new.append(kind(server=server, enabled=trusted, **{kind.KEY: key}, **parts))
            continue
        is_changed = any(getattr(row, name) != value for name, value in parts.items())
        if is_changed:
            changed.append(key)
        if not row.available:
            returned.append(key)
        if is_changed or not row.available:
            updated.append(_renewed(row, parts, is_changed=is_changed))
    gone = [row for row in stored.values() if row.available]
    changes = OfferingChanges(
        added=added,
        changed=changed,
        gone=[getattr(row, kind.KEY) for row in gone],
        returned=returned,
        unchanged=len(offered) - len({*added, *changed, *returned}),
        waiting=0 if trusted else len(added),
    )
    return OfferingPlan(new, updated, [row.pk for row in gone], changes)


def store_offerings(server: MCPServer, found: Found, *, is_first: bool) -> OfferingReport:
    """Write what was found; lists that are stored already cost nothing.

    `is_first` says that the server was never synced before, and so is trusted now.
    """
    if found.offerings is None:
        return _noted(server, OfferingReport(warning=_clipped(found.problem)))
    offerings = found.offerings
    digest = _digest(offerings)
    warning = _warning(offerings)
    if digest == server.offerings_digest:
        return _noted(
            server,
            OfferingReport(
                OfferingChanges(unchanged=len(offerings.resources)),
                OfferingChanges(unchanged=len(offerings.prompts)),
                warning,
            ),
        )
    using = router.db_for_write(MCPServer, instance=server)
    with transaction.atomic(using=using):
        # Locked before anything is read, so that a second sync waits and sees what this one wrote.
        rows = MCPServer.objects.using(using).filter(pk=server.pk, endpoint_url=server.endpoint_url)
        if not rows.update(offerings_warning=warning):
            return OfferingReport(warning=warning)
        current = rows.get()
        trusted = current.accept_changes or (is_first and not current.offerings_digest)
        resources = {each.uri: _parts(each, MCPResource) for each in offerings.resources}
        prompts = {each.name: _parts(each, MCPPrompt) for each in offerings.prompts}
        report = OfferingReport(
            _brought(MCPResource, resources, current, using, trusted=trusted),
            _brought(MCPPrompt, prompts, current, using, trusted=trusted),
            warning,
        )
        rows.update(offerings_digest=digest)
    server.offerings_digest, server.offerings_warning = digest, warning
    return report


def _brought(
    kind: type[Row],
    offered: Mapping[str, Mapping[str, Any]],
    server: MCPServer,
    using: str,
    *,
    trusted: bool,
) -> OfferingChanges:
    rows = kind._default_manager.using(using)
    existing = rows.filter(server=server)
    plan = plan_offerings(existing, offered, kind, server, trusted=trusted)
    connection = connections[using]
    with statements_of_any_length(connection):
        rows.bulk_create(plan.new)
        has_target = connection.features.supports_update_conflicts_with_target
        if plan.updated:
            rows.bulk_create(
                plan.updated,
                update_conflicts=True,
                unique_fields=["id"] if has_target else None,
                update_fields=[*kind.DESCRIBED, "available", "changed_at"],
            )
    if plan.gone:
        rows.filter(pk__in=plan.gone).update(available=False)
    return plan.changes


def _renewed(row: Row, parts: Mapping[str, Any], *, is_changed: bool) -> Row:
    renewed = copy.copy(row)
    for name, value in parts.items():
        setattr(renewed, name, value)
    renewed.available = True
    if is_changed:
        renewed.changed_at = timezone.now()
    return renewed


def _parts(offering: Any, kind: type[Offering]) -> dict[str, Any]:
    plain = offering.as_dict()
    return {name: plain[name] for name in kind.DESCRIBED}


def _noted(server: MCPServer, report: OfferingReport) -> OfferingReport:
    if server.offerings_warning != report.warning:
        server.offerings_warning = report.warning
        MCPServer.objects.filter(pk=server.pk).update(offerings_warning=report.warning)
    return report


def _digest(offerings: Offerings) -> str:
    """A hash of both lists; the same for the same lists, and empty where both are."""
    if not offerings.resources and not offerings.prompts:
        return ""
    lists = [[asdict(each) for each in kind] for kind in (offerings.resources, offerings.prompts)]
    return hashlib.sha256(json.dumps(lists).encode()).hexdigest()


def _warning(offerings: Offerings) -> str:
    skipped = "; ".join(f"{each.name}: {each.reason}" for each in offerings.skipped)
    return _clipped(f"{len(offerings.skipped)} left out. {skipped}") if skipped else ""


def _clipped(text: str) -> str:
    return text[:500]
