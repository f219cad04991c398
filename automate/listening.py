"""Listens to servers that say when their tools change, and syncs those, and the ones that are due.

One thread for each server waits on its stream; only the thread in `Listeners.run` touches rows.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from django.db import close_old_connections, connections, models

from automate_llm.cancellation import Cancellation
from automate_llm.exceptions import MCPClientError
from automate_llm.mcp_client import MCPClient
from automate_llm.values import Connection

from .models import MCPServer
from .sync import SyncReport, sync_servers

LOOK_SECONDS = 60.0
"""How often the rows are looked at for servers that came, went or are due."""
SETTLE_SECONDS = 0.5
"""How long words of changes are gathered before a sync: one change often says many."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Listener:
    """A thread on one server's stream, and the connection that it was started with."""

    slug: str
    connection: Connection
    changed: "queue.SimpleQueue[str | None]"
    cancellation: Cancellation = field(default_factory=Cancellation)
    thread: threading.Thread | None = None

    def start(self) -> None:
        name = f"automate listens to {self.slug}"
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.cancellation.cancel()
        if self.thread is not None:
            self.thread.join()

    def _run(self) -> None:
        try:
            client = MCPClient(self.connection)
            client.listen(lambda kind: self.changed.put(self.slug), self.cancellation)
        except MCPClientError as exc:
            # It is left alone until its row changes; a sync that is due still asks it.
            logger.warning("%s is not listened to. %s", self.slug, exc)
        finally:
            connections.close_all()


class Listeners:
    """Listeners for all enabled servers that announce changes, kept in line with the rows."""

    def __init__(self, on_report: Callable[[SyncReport], object]) -> None:
        self._on_report = on_report
        self._changed: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._listeners: dict[str, _Listener] = {}

    def run(self, cancellation: Cancellation) -> None:
        """Listen and sync until `cancellation`; then every thread is gone."""
        forget = cancellation.on_cancel(lambda: self._changed.put(None))
        try:
            while not cancellation.cancelled:
                self._match()
                slugs = self._wait()
                if not cancellation.cancelled:
                    changed = MCPServer.objects.enabled().filter(slug__in=slugs)
                    self._sync(changed | MCPServer.objects.due())
        finally:
            forget()
            for listener in self._listeners.values():
                listener.cancellation.cancel()
            for listener in self._listeners.values():
                listener.stop()
            self._listeners.clear()

    def _match(self) -> None:
        """Start, stop or renew listeners so that they are those of the rows."""
        close_old_connections()
        wanted = {}
        for server in MCPServer.objects.enabled().filter(list_changed=True):
            try:
                wanted[server.slug] = server.connection()
            except MCPClientError as exc:
                logger.info("%s cannot be listened to. %s", server.slug, exc)
        for slug, listener in list(self._listeners.items()):
            if wanted.get(slug) != listener.connection:
                listener.stop()
                del self._listeners[slug]
        for slug, connection in wanted.items():
            if slug not in self._listeners:
                listener = self._listeners[slug] = _Listener(slug, connection, self._changed)
                listener.start()

    def _wait(self) -> set[str]:
        """The servers that said something, or none after a minute."""
        slugs: set[str] = set()
        with suppress(queue.Empty):
            word = self._changed.get(timeout=LOOK_SECONDS)
            end = time.monotonic() + SETTLE_SECONDS
            while word is not None:
                slugs.add(word)
                # A server that never stops saying so must not keep the others waiting.
                if (left := end - time.monotonic()) <= 0:
                    break
                word = self._changed.get(timeout=left)
        return slugs

    def _sync(self, servers: models.QuerySet[MCPServer]) -> None:
        found = list(servers.order_by("slug"))
        if found:
            sync_servers(found, self._on_report)
