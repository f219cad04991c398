"""What `manage.py check --deploy` says about where turns run.

automate_chat.W010  several hosts share a database that is a file
automate_chat.W011  turns run on workers, and none of them is alive
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Warning, register
from django.db import connections, router

from automate.conf import conf
from automate.deploy_checks import found_in_database

from .models import Turn, Worker


@register(deploy=True)
def check_database(
    app_configs: Sequence[AppConfig] | None = None, **options: Any
) -> list[CheckMessage]:
    """Whether all who share the database can."""
    return found_in_database(_database)


@register(deploy=True)
def check_workers(
    app_configs: Sequence[AppConfig] | None = None, **options: Any
) -> list[CheckMessage]:
    """Whether somebody answers."""
    return found_in_database(_workers)


def _database() -> Iterator[CheckMessage]:
    if connections[router.db_for_write(Turn)].vendor != "sqlite":
        return
    hosts = {name.rpartition(":")[0] for name in Worker.objects.values_list("name", flat=True)}
    if len(hosts) > 1 or conf().EXECUTOR != "thread":
        yield Warning(
            "The database is SQLite, and turns run on workers or on several hosts. SQLite is for "
            "one machine: over a network file system its locks do not hold.",
            hint="Set DATABASE_URL to a PostgreSQL, as docs/scaling.md shows.",
            id="automate_chat.W010",
        )


def _workers() -> Iterator[CheckMessage]:
    if conf().EXECUTOR != "thread" and not Worker.objects.alive().exists():
        yield Warning(
            "No worker has given a sign of life, so nobody answers what people write.",
            hint="Start one as docs/scaling.md shows, and check that it has the same database.",
            id="automate_chat.W011",
        )
