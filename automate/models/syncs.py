"""The syncs of servers: whether one is under way, and what came of the last ones."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import connections, models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .servers import MCPServer


class ServerSyncQuerySet(models.QuerySet["ServerSync"]):
    def free(self) -> Self:
        """Servers whose sync may be begun: none is under way, or its process has died."""
        over = Q(lease_until=None) | Q(lease_until__lt=Now())
        return self.filter(over | ~Q(status__in=ServerSync.UNFINISHED))

    def claim(
        self, servers: Collection[MCPServer], claim: str, asked_by: Any, lease: timedelta
    ) -> set[int]:
        """Put those in line that are free, for whoever holds this claim; says which they are.

        A compare-and-swap `UPDATE`: of two that ask at once, one gets each server.
        """
        keys = [server.pk for server in servers]
        self.bulk_create([ServerSync(server_id=key) for key in keys], ignore_conflicts=True)
        self.free().filter(server__in=keys).update(
            status=ServerSync.Status.QUEUED,
            claim=claim,
            asked_by=asked_by,
            lease_until=Now() + lease,
            queued_at=Now(),
            started_at=None,
            finished_at=None,
            summary="",
        )
        return set(self.filter(server__in=keys, claim=claim).values_list("server_id", flat=True))

    def begin(self, servers: Collection[MCPServer], claim: str, lease: timedelta) -> int:
        """What this claim holds in line runs now; nothing where its lease has run out meanwhile."""
        held = self.filter(server__in=servers, claim=claim, lease_until__gte=Now())
        return held.filter(status=ServerSync.Status.QUEUED).update(
            status=ServerSync.Status.RUNNING, started_at=Now(), lease_until=Now() + lease
        )

    def finish(self, server: MCPServer, claim: str, summary: str, *, failed: bool) -> int:
        """The sync that this claim holds is over."""
        # By the clock of the server's `last_synced`, with which the end is compared.
        finished = timezone.now()
        return self.filter(server=server, claim=claim).update(
            status=ServerSync.Status.FAILED if failed else ServerSync.Status.DONE,
            claim="",
            lease_until=None,
            finished_at=finished,
            summary=summary[:500],
        )

    def note_changes(self, server: MCPServer, changes: dict[str, Any]) -> None:
        """Keep what a sync of this server changed, instead of what an earlier one did."""
        has_target = connections[self.db].features.supports_update_conflicts_with_target
        self.bulk_create(
            [ServerSync(server=server, changes=changes, changed_at=timezone.now())],
            update_conflicts=True,
            unique_fields=["server"] if has_target else None,
            update_fields=["changes", "changed_at"],
        )


class ServerSync(models.Model):
    """The sync of a server: whether one is under way, and what came of the last ones.

    Whoever runs it holds a claim with a lease, by the database's clock, so that a process that dies
    leaves no sync that runs for ever.
    """

    class Status(models.TextChoices):
        IDLE = "idle", _("Never begun")
        QUEUED = "queued", _("In line")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    UNFINISHED = (Status.QUEUED, Status.RUNNING)

    server = models.OneToOneField(
        MCPServer, on_delete=models.CASCADE, primary_key=True, related_name="sync_state"
    )
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.IDLE
    )
    claim = models.CharField(max_length=32, blank=True, default="", editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("asked for by"),
    )
    queued_at = models.DateTimeField(_("asked for"), null=True, blank=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    summary = models.CharField(_("summary"), max_length=500, blank=True, default="")
    changes = models.JSONField(
        _("changes"),
        blank=True,
        default=dict,
        help_text=_("Of the last sync that changed anything: names by what became of them."),
    )
    changed_at = models.DateTimeField(_("changed"), null=True, blank=True)

    objects = ServerSyncQuerySet.as_manager()

    class Meta:
        verbose_name = _("sync")
        verbose_name_plural = _("syncs")

    def __str__(self) -> str:
        return f"{self.server_id}: {self.get_status_display()}"

    @property
    def is_under_way(self) -> bool:
        """Whether somebody is at it, as far as its lease says."""
        return self.status in self.UNFINISHED and not self.is_lost

    @property
    def is_lost(self) -> bool:
        """Whether its process died before it was done."""
        unfinished = self.status in self.UNFINISHED
        return unfinished and self.lease_until is not None and self.lease_until < timezone.now()
