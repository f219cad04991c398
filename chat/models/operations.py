"""What operators look at: the processes that run turns, and what people have used."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Worker(models.Model):
    """A process that runs turns, and its last sign of life."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=200, help_text=_("Host and process."))
    executor = models.CharField(_("executor"), max_length=20)
    running = models.PositiveIntegerField(_("turns running"), default=0)
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    seen_at = models.DateTimeField(_("last seen"), default=timezone.now, db_index=True)

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class DailyUsage(models.Model):
    """What one person's turns used on one day, added up by every worker."""

    day = models.DateField(_("day"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="daily_usage"
    )
    prompt_tokens = models.PositiveBigIntegerField(_("tokens in"), default=0)
    completion_tokens = models.PositiveBigIntegerField(_("tokens out"), default=0)
    cost = models.DecimalField(_("cost"), max_digits=16, decimal_places=6, default=0)

    class Meta:
        verbose_name = _("daily usage")
        verbose_name_plural = _("daily usage")
        ordering = ["-day", "user"]
        constraints = [
            models.UniqueConstraint(fields=["day", "user"], name="chat_usage_once_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.user}"
