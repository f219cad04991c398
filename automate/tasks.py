"""Syncs by Celery, for a site that runs its workers and beat.

Celery finds this module by itself (`app.autodiscover_tasks()`); nothing else imports it.
"""

from typing import Any

from celery import shared_task
from celery.schedules import crontab

from .conf import conf
from .models import MCPServer
from .sync_jobs import sync_here

DUE_SECONDS = 300.0
"""How often the servers are asked that are due by their own word."""


@shared_task(name="automate.sync_due", ignore_result=True)  # type: ignore[untyped-decorator]
def sync_due() -> None:
    """What `manage.py sync_mcp_tools --due` does."""
    sync_here(list(MCPServer.objects.due().order_by("slug")))


@shared_task(name="automate.sync_all", ignore_result=True)  # type: ignore[untyped-decorator]
def sync_all() -> None:
    """Ask every server that is on, also those that never say when their list is due."""
    sync_here(list(MCPServer.objects.enabled().order_by("slug")))


def beat_schedule() -> dict[str, Any]:
    """Entries for a Celery app's `beat_schedule`: due ones every five minutes, all each night."""
    queue = {"options": {"queue": conf().EXECUTOR_QUEUE}} if conf().EXECUTOR_QUEUE else {}
    return {
        "automate-sync-due": {"task": "automate.sync_due", "schedule": DUE_SECONDS, **queue},
        "automate-sync-all": {
            "task": "automate.sync_all",
            "schedule": crontab(hour="3", minute="10"),
            **queue,
        },
    }
