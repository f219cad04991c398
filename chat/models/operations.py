"""What operators look at: the processes that run turns, and what people have used."""

import uuid
from decimal import Decimal
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .turns import lease, shared_now

_LEASES_UNTIL_STALE = 10


class WorkerQuerySet(models.QuerySet["Worker"]):
    def alive(self) -> Self:
        """Those that gave a sign of life within a turn's lease."""
        return self.filter(seen_at__gte=shared_now() - lease())

    def stale(self) -> Self:
        """Those that gave none for so long that nobody looks for them any more."""
        return self.filter(seen_at__lt=shared_now() - _LEASES_UNTIL_STALE * lease())

    def beat(self, worker_id: uuid.UUID, **fields: Any) -> None:
        """Give a sign of life."""
        fields["seen_at"] = shared_now()
        if not self.filter(pk=worker_id).update(**fields):
            self.create(pk=worker_id, **fields)


class Worker(models.Model):
    """A process that runs turns, and its last sign of life."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=200, help_text=_("Host and process."))
    executor = models.CharField(_("executor"), max_length=20)
    running = models.PositiveIntegerField(_("turns running"), default=0)
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    seen_at = models.DateTimeField(_("last seen"), default=timezone.now, db_index=True)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class DailyUsageQuerySet(models.QuerySet["DailyUsage"]):
    def totals(self) -> dict[str, Any]:
        """What all of these come to: `all_tokens` and `all_cost`."""
        return self.aggregate(
            all_tokens=Coalesce(
                Sum(F("prompt_tokens") + F("completion_tokens")),
                0,
                output_field=models.BigIntegerField(),
            ),
            all_cost=Coalesce(
                Sum("cost"), Decimal(0), output_field=models.DecimalField(decimal_places=6)
            ),
        )


class DailyUsage(models.Model):
    """What one person's turns used on one day, added up by every worker."""

    day = models.DateField(_("day"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="daily_usage"
    )
    prompt_tokens = models.PositiveBigIntegerField(_("tokens in"), default=0)
    completion_tokens = models.PositiveBigIntegerField(_("tokens out"), default=0)
    cost = models.DecimalField(_("cost"), max_digits=16, decimal_places=6, default=0)

    objects = DailyUsageQuerySet.as_manager()

    class Meta:
        verbose_name = _("daily usage")
        verbose_name_plural = _("daily usage")
        ordering = ["-day", "user"]
        permissions = [("no_budget", _("May use any amount in a day"))]
        constraints = [
            models.UniqueConstraint(fields=["day", "user"], name="chat_usage_once_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.user}"

    @property
    def tokens(self) -> int:
        """In and out together."""
        return self.prompt_tokens + self.completion_tokens
