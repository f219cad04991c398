"""Bring the stored tools in line with what their servers offer.

Threads ask the servers; only the calling thread touches the database, in one transaction for
each server, so that the stored list is always the old one or the new one. A thread whose server is
behind OAuth reads and renews its token's row on a connection of its own, and closes that.
"""

import logging
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import connections, router, transaction
from django.utils import timezone

from automate_llm.exceptions import MCPClientError
from automate_llm.values import Connection, Discovery

from .asking import Found, ask, without_secrets
from .compiled import CompiledQuery, Place
from .conf import conf
from .databases import let_go_of_database, statements_of_any_length
from .freshness import due_at
from .models import MCPServer, MCPTool, MCPToolVersion, OAuthToken
from .offering_sync import store_offerings
from .statements import insert_rows, update_rows
from .sync_changes import note_changes
from .sync_plan import SyncPlan, SyncReport, plan_sync

__all__ = ["SyncReport", "sync_server", "sync_servers"]

logger = logging.getLogger(__name__)

# What a sync writes to a tool that it knows. `enabled` is not among them: that is the operator's.
_WRITTEN = [
    "title",
    "description",
    "input_schema",
    "output_schema",
    "annotations",
    "definition_hash",
    "approved_hash",
    "approved_version",
    "version",
    "review",
    "schema_error",
    "available",
    "changed_at",
]

User = AbstractBaseUser | AnonymousUser
_counted = CompiledQuery(
    lambda: MCPServer.objects.with_tool_counts().filter(pk=Place(MCPServer, "pk")).order_by()
)
_stored = CompiledQuery(
    lambda: MCPTool.objects.filter(server_id=Place(MCPServer, "pk", "server")).order_by()
)
_EDITED = "It was edited while it was asked; sync it again."


def sync_server(server: MCPServer, *, user: User | None = None) -> SyncReport:
    """Bring one server's tools up to date; whatever goes wrong stands in the report.

    The calling thread asks it, and holds no connection to the database meanwhile.
    """
    digest = _known_digests([server]).get(server.pk, "")
    try:
        connection = server.connection(_asking(server, user))
    except MCPClientError as exc:
        return _failed(server, str(exc))
    let_go_of_database()
    answer: Future[Found] = Future()
    try:
        answer.set_result(ask(connection, server.chosen_protocol, digest))
    except Exception as exc:  # carried to where the answer is taken, which raises it
        answer.set_exception(exc)
    return _taken(server, connection, answer)


def sync_servers(
    servers: Iterable[MCPServer],
    progress: Callable[[SyncReport], object] | None = None,
    *,
    user: User | None = None,
) -> list[SyncReport]:
    """Bring the tools of all these servers up to date, enabled or not.

    They are asked in parallel and stored as their answers arrive; `progress` is then called.
    One server's failure is its own. The reports are in the order of the servers. A server to
    which each person connects an account is asked with the account of `user`, or else with the
    one that a member of staff connected first.
    """
    servers = list(servers)
    reports: dict[int, SyncReport] = {}
    asked: dict[Future[Found], tuple[int, Connection]] = {}

    def finished(position: int, report: SyncReport) -> None:
        reports[position] = report
        if progress is not None:
            progress(report)

    known = _known_digests(servers)
    pool = ThreadPoolExecutor(conf().SYNC_THREADS, thread_name_prefix="mcp-sync")
    try:
        for position, server in enumerate(servers):
            try:
                connection = server.connection(_asking(server, user))
            except MCPClientError as exc:
                finished(position, _failed(server, str(exc)))
            else:
                digest = known.get(server.pk, "")
                answer = pool.submit(ask, connection, server.chosen_protocol, digest)
                asked[answer] = position, connection
        let_go_of_database()
        for answer in as_completed(list(asked)):
            position, connection = asked.pop(answer)
            finished(position, _taken(servers[position], connection, answer))
    finally:
        pool.shutdown(cancel_futures=True)
    return [reports[position] for position in range(len(servers))]


def _known_digests(servers: Iterable[MCPServer]) -> dict[int, str]:
    """The digests of lists that are stored whole, which need not be walked again, by server."""
    stored = MCPServer.objects.filter(pk__in=[server.pk for server in servers]).with_tool_counts()
    return {row.pk: row.tools_digest for row in stored if row.tool_count == row.listed_count}


def _asking(server: MCPServer, user: User | None) -> User | None:
    """Whose account the server is asked with; nobody's where it has a credential of its own."""
    if server.auth_type != MCPServer.AuthType.OAUTH_USER:
        return None
    if user is not None:
        return user
    accounts = OAuthToken.objects.connected().of_staff().filter(server=server)
    first = accounts.select_related("user").order_by("connected_at").first()
    return first.user if first is not None else None


def _taken(server: MCPServer, connection: Connection, answer: Future[Found]) -> SyncReport:
    try:
        found = answer.result()
        is_first = not server.tools_digest
        report = _store(server, found.discovery)
        if report.error:
            return report
        report = replace(report, beside=store_offerings(server, found, is_first=is_first))
        note_changes(server, report)
        return report
    except MCPClientError as exc:
        return _failed(server, without_secrets(str(exc), connection))
    except Exception:  # a fault of ours with one server must not keep the others
        reference = uuid.uuid4().hex[:8]
        logger.exception("Sync of MCP server %r failed (reference %s)", server.slug, reference)
        return _failed(
            server, f"The sync failed for a reason of our own; the log has it under {reference}."
        )


def _failed(server: MCPServer, error: str) -> SyncReport:
    server.mark_failed(error)
    return SyncReport(server.slug, error=server.last_error)


def _store(server: MCPServer, discovery: Discovery) -> SyncReport:
    """Write what was discovered; a list that is known costs one statement."""
    using = router.db_for_write(MCPServer, instance=server)
    # The endpoint must still be the one that answered: an operator may have edited the row.
    asked = {"id": server.pk, "endpoint_url": server.endpoint_url}
    facts = _server_facts(discovery)
    if discovery.unchanged:
        # The list was not even read, so it must still be the one that is stored.
        asked["tools_digest"] = discovery.digest
        if not update_rows(MCPServer, asked, facts, using=using):
            return _failed(server, _EDITED)
        return _noted(server, facts, SyncReport(server.slug, unchanged=server.listed_count))
    with transaction.atomic(using=using):
        # Written before anything is read, which locks the row on every database: a second sync
        # of this server waits here and then sees what the first one stored.
        if not update_rows(MCPServer, asked, facts, using=using):
            return _failed(server, _EDITED)
        [current] = _counted.rows(pk=server.pk, using=using)
        stored = current.tools_digest, current.tool_count
        if stored == (discovery.digest, current.listed_count):
            report = SyncReport(
                server.slug, skipped=list(discovery.skipped), unchanged=current.tool_count
            )
        else:
            plan = plan_sync(_stored.rows(server=server.pk, using=using), discovery, current)
            _write(plan, using)
            facts |= {
                "tools_digest": discovery.digest,
                "listed_count": len(discovery.tools),
                "last_warning": _warning(discovery),
            }
            update_rows(MCPServer, asked, facts, using=using)
            report = plan.report
    return _noted(server, facts, report)


def _noted(server: MCPServer, facts: dict[str, Any], report: SyncReport) -> SyncReport:
    """The report, once the caller's object says what its row says."""
    for name, value in facts.items():
        setattr(server, name, value)
    return report


def _server_facts(discovery: Discovery) -> dict[str, Any]:
    return {
        "settled_protocol": discovery.protocol,
        "protocol_version": discovery.protocol_version,
        "server_name": discovery.server_name,
        "server_version": discovery.server_version,
        "instructions": discovery.instructions,
        "list_changed": discovery.list_changed,
        "due_at": due_at(discovery.ttl),
        "last_synced": timezone.now(),
        "last_error": "",
        "failed_syncs": 0,
    }


def _write(plan: SyncPlan, using: str) -> None:
    tools = MCPTool.objects.using(using)
    connection = connections[using]
    insert_rows(plan.new, using=using)
    # A new tool has its key only now.
    insert_rows([MCPToolVersion.of(*defined) for defined in plan.defined], using=using)
    with statements_of_any_length(connection):
        # An upsert of rows that exist: a dozen times as fast as `bulk_update`, whose statement
        # has a branch for each field of each row.
        has_target = connection.features.supports_update_conflicts_with_target
        tools.bulk_create(
            plan.updated,
            update_conflicts=True,
            unique_fields=["id"] if has_target else None,
            update_fields=_WRITTEN,
        )
    if plan.gone:
        tools.filter(pk__in=plan.gone).update(available=False)
    if plan.returned:
        tools.filter(pk__in=plan.returned).update(available=True)


def _warning(discovery: Discovery) -> str:
    skipped = "; ".join(f"{tool.name}: {tool.reason}" for tool in discovery.skipped)
    return f"{len(discovery.skipped)} left out. {skipped}"[:500] if skipped else ""
