"""What Celery's `autodiscover_tasks` and Huey look for in every app: the tasks of the executor."""

from automate.conf import conf

if conf().EXECUTOR == "celery":
    from .executors import celery  # noqa: F401  its tasks
elif conf().EXECUTOR == "tasks":
    from .executors import tasks  # noqa: F401  its task
