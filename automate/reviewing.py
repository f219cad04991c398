"""People's decisions on definitions of tools: bound to what was shown, recorded, never final."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import router, transaction
from django.db.models import Case, F, Value, When

from .models import MCPServer, MCPTool, MCPToolVersion, ToolReview
from .models.permissions import User
from .statements import insert_rows

Decision = ToolReview.Decision
Review = MCPTool.Review


@dataclass(frozen=True, slots=True)
class Decided:
    """The tools that were decided on, and those that were not since they have changed or gone."""

    tools: list[MCPTool]
    passed_over: int


def decide(shown: Mapping[int, int], decision: Decision, by: User | None = None) -> Decided:
    """Approve or reject tools, each at the version that was shown, by their keys.

    A tool that was never approved is switched on by its approval. One that is rejected is stopped,
    until its definition changes. Deciding again undoes what was decided before.
    """
    using = router.db_for_write(MCPTool)
    with transaction.atomic(using=using):
        tools = _locked(shown, using)
        chosen = [tool for tool in tools if tool.version == shown[tool.pk]]
        rows = MCPTool.objects.using(using).filter(pk__in=[tool.pk for tool in chosen])
        if decision == Decision.APPROVED:
            rows.update(
                enabled=Case(When(approved_version=None, then=Value(True)), default=F("enabled")),
                review=Review.APPROVED,
                approved_hash=F("definition_hash"),
                approved_version=F("version"),
            )
        else:
            rows.update(review=Review.REJECTED)
            _forget_approval([tool for tool in chosen if tool.version == tool.approved_version])
        versions = MCPToolVersion.objects.using(using).filter(
            tool__in=[tool.pk for tool in chosen], number=F("tool__version")
        )
        keys = versions.order_by("pk").values_list("pk", flat=True)
        by_id = None if by is None else by.pk
        reviews = [ToolReview(version_id=key, decision=decision, by_id=by_id) for key in keys]
        insert_rows(reviews, using=using)
    return Decided(chosen, passed_over=len(shown) - len(chosen))


def _locked(keys: Iterable[int], using: str) -> list[MCPTool]:
    """These tools, which no sync changes until the transaction ends.

    Their servers come first, as in a sync, so that neither waits for the other.
    """
    tools = MCPTool.objects.using(using).filter(pk__in=list(keys), available=True)
    servers = tools.order_by().values("server").distinct()
    list(MCPServer.objects.using(using).filter(pk__in=servers).order_by("pk").select_for_update())
    return list(
        tools.order_by("pk")
        .select_for_update()
        .only("name", "title", "version", "approved_version", "definition_hash")
    )


def _forget_approval(tools: list[MCPTool]) -> None:
    """What counts as approved of these is again what was before the approval that is undone."""
    if not tools:
        return
    rejected = {tool.pk: tool.definition_hash for tool in tools}
    before: dict[int, MCPToolVersion] = {}
    versions = MCPToolVersion.objects.with_decision().filter(tool__in=tools).order_by("-number")
    for version in versions.defer("definition_text"):
        approved = version.decision == Decision.APPROVED or (
            version.trusted and version.decision is None
        )
        if approved and version.definition_hash != rejected[version.tool_id]:
            before.setdefault(version.tool_id, version)
    for tool in tools:
        version_before = before.get(tool.pk)
        tool.approved_version = version_before.number if version_before else None
        tool.approved_hash = version_before.definition_hash if version_before else ""
    MCPTool.objects.bulk_update(tools, ["approved_version", "approved_hash"])
