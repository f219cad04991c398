"""Syncs that nobody waits for: asked for in the admin, run by daemon threads of this process.

A sync that is under way is not begun again: its row is claimed first, with a lease that outlasts
the longest that it can take.
"""

import logging
import os
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Any

from django.contrib.auth import get_user_model
from django.db import close_old_connections, connections, transaction

from .conf import conf
from .models import MCPServer, ServerSync
from .sync import SyncReport, User, sync_server, sync_servers

logger = logging.getLogger(__name__)

QUEUE_LEASE = timedelta(minutes=15)
"""How long a sync stands in line before it is taken for lost."""
_SPARE = timedelta(seconds=60)
_ASKED_AT_MOST = 3
"""Each time within the server's time limit: the list by the protocol that was settled, the list by
the one that was chosen, and resources with prompts."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The servers whose sync has begun, and the syncs of others that were under way already."""

    servers: list[MCPServer]
    under_way: list[ServerSync]


@dataclass(frozen=True, slots=True)
class _Job:
    server_id: int
    claim: str
    user_id: Any

    def run(self) -> None:
        """Sync the server, unless the claim has run out while it stood in line."""
        server = MCPServer.objects.get(pk=self.server_id)
        if not ServerSync.objects.begin([server], self.claim, _lease([server])):
            return
        user = get_user_model().objects.filter(pk=self.user_id).first()
        _finish(self.claim, server, sync_server(server, user=user))


def begin(servers: Sequence[MCPServer], user: User | None = None) -> Begun:
    """Have these servers synced in the background, as soon as this transaction is committed.

    It takes the same few statements for any number of servers, and waits for none of them.
    """
    claim = uuid.uuid4().hex
    by = user.pk if user is not None else None
    mine, under_way = _claimed(servers, claim, by)
    jobs = [_Job(server.pk, claim, by) for server in mine]
    transaction.on_commit(lambda: workers.submit(jobs))
    return Begun(mine, under_way)


def sync_here(
    servers: Sequence[MCPServer],
    progress: Callable[[SyncReport], object] | None = None,
    *,
    user: User | None = None,
) -> list[SyncReport]:
    """Sync those of these servers of which no sync is under way, and wait for it."""
    claim = uuid.uuid4().hex
    mine, _under_way = _claimed(servers, claim, user.pk if user is not None else None)
    ServerSync.objects.begin(mine, claim, _lease(mine))
    by_slug = {server.slug: server for server in mine}

    def done(report: SyncReport) -> None:
        _finish(claim, by_slug[report.slug], report)
        if progress is not None:
            progress(report)

    return sync_servers(mine, done, user=user)


def _claimed(
    servers: Sequence[MCPServer], claim: str, by: Any
) -> tuple[list[MCPServer], list[ServerSync]]:
    taken = ServerSync.objects.claim(servers, claim, by, QUEUE_LEASE)
    others = [server.pk for server in servers if server.pk not in taken]
    under_way = ServerSync.objects.filter(server__in=others).select_related("server")
    mine = [server for server in servers if server.pk in taken]
    return mine, list(under_way) if others else []


def _lease(servers: Sequence[MCPServer]) -> timedelta:
    """Longer than a sync of all of them can take, those in line behind the others included."""
    limit = max((server.timeout or conf().MCP_TIMEOUT for server in servers), default=0.0)
    rounds = -(-len(servers) // max(1, conf().SYNC_THREADS))
    return timedelta(seconds=_ASKED_AT_MOST * limit * rounds) + _SPARE


def _finish(claim: str, server: MCPServer, report: SyncReport) -> None:
    ServerSync.objects.finish(server, claim, report.summary, failed=bool(report.error))


class Workers:
    """A few daemon threads, which are there while there is work and no longer."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: a forked process has none of its parent's threads."""
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._threads = 0

    def submit(self, jobs: Sequence[_Job]) -> None:
        """Have these done, as many at a time as `SYNC_THREADS` says."""
        with self._lock:
            for job in jobs:
                self._jobs.put(job)
            wanted = min(self._jobs.qsize(), max(1, conf().SYNC_THREADS) - self._threads)
            for _ in range(wanted):
                self._threads += 1
                threading.Thread(target=self._work, name="automate-sync", daemon=True).start()

    def _work(self) -> None:
        try:
            while (job := self._next()) is not None:
                self._run(job)
        finally:
            connections.close_all()

    def _next(self) -> _Job | None:
        """A job, or the end of this thread: under the lock, so that none is put in between."""
        with self._lock:
            try:
                return self._jobs.get_nowait()
            except Empty:
                self._threads -= 1
                return None

    def _run(self, job: _Job) -> None:
        close_old_connections()
        try:
            job.run()
        except Exception:
            # A sync's own failures are stored; what comes here is the database's. The lease ends.
            logger.exception("A sync in the background met an error")
        finally:
            close_old_connections()


workers = Workers()
os.register_at_fork(after_in_child=workers.forget)
