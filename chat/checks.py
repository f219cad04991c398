"""What `manage.py check` says about where turns run, and how they are traced.

automate_chat.E001  the executor lacks its library, or its workers
automate_chat.E002  Celery would run turns in the web process
automate_chat.E003  TRACING is on, and OpenTelemetry is not installed
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from .executors.requirements import problem_of


@register()
def check_executor(
    app_configs: Sequence[AppConfig] | None = None, **options: Any
) -> list[CheckMessage]:
    """Whether the executor has what it needs."""
    chosen = getattr(settings, "AUTOMATE", {})
    if not isinstance(chosen, dict):  # which is said elsewhere
        return []
    executor = chosen.get("EXECUTOR", "thread")
    if problem := problem_of(executor, chosen.get("EXECUTOR_QUEUE", "")):
        what, hint = problem
        return [Error(what, hint=hint, id="automate_chat.E001")]
    if executor == "celery" and _is_eager():
        return [
            Error(
                "Celery's task_always_eager is on, so that turns would run in the web process.",
                hint="Turn it off, or set AUTOMATE['EXECUTOR'] to 'thread'.",
                id="automate_chat.E002",
            )
        ]
    return []


@register()
def check_tracing(
    app_configs: Sequence[AppConfig] | None = None, **options: Any
) -> list[CheckMessage]:
    """Whether what makes the spans is there."""
    chosen = getattr(settings, "AUTOMATE", {})
    if not isinstance(chosen, dict) or not chosen.get("TRACING"):
        return []
    if find_spec("opentelemetry") is not None:
        return []
    return [
        Error(
            "AUTOMATE['TRACING'] is on, and opentelemetry cannot be imported.",
            hint="Install django-automate with the extra 'otel'.",
            id="automate_chat.E003",
        )
    ]


def _is_eager() -> bool:
    from celery import current_app  # an extra, and slow to import

    return bool(current_app.conf.task_always_eager)
