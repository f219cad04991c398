"""What each executor needs of the site: a library that is an extra, and workers."""

from importlib.util import find_spec

import django
from django.conf import settings

_WITHOUT_WORKERS = ("ImmediateBackend", "DummyBackend")
"""Backends of Django Tasks that run a task at once, in the web process, or never."""


def problem_of(executor: str, queue: str = "") -> tuple[str, str] | None:
    """What hinders this executor with this queue, and what to do; nothing where it may work."""
    if executor == "celery" and find_spec("celery") is None:
        return _missing("celery", "celery")
    if executor != "tasks":
        return None
    if django.VERSION < (6,) and find_spec("django_tasks") is None:
        return _missing("tasks", "django_tasks")
    chosen = getattr(settings, "TASKS", {}).get("default", {})
    backend, queues = chosen.get("BACKEND", ""), chosen.get("QUEUES", ["default"])
    if not backend or backend.endswith(_WITHOUT_WORKERS):
        return (
            "AUTOMATE['EXECUTOR'] is 'tasks', and TASKS has no default backend with workers.",
            "Set TASKS to one that has, such as "
            '{"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}, and run its workers.',
        )
    if queue and queues and queue not in queues:
        return (
            f"AUTOMATE['EXECUTOR_QUEUE'] is {queue!r}, which the default backend of TASKS lacks.",
            f"Add it to the backend's QUEUES, or choose one of {', '.join(map(repr, queues))}.",
        )
    return None


def _missing(executor: str, library: str) -> tuple[str, str]:
    return (
        f"AUTOMATE['EXECUTOR'] is {executor!r}, and {library} cannot be imported.",
        f"Install django-automate with the extra {executor!r}.",
    )
