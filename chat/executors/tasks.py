"""Turns on the workers of a Django Tasks backend. It carries ids; the rows hold the rest."""

from uuid import UUID

from automate.conf import conf
from chat.engine import run_turn

from . import executor
from .remote import RemoteExecutor

try:
    from django.tasks import task
except ImportError:  # Django 5.2 has the same API as a package of its own
    from django_tasks import task  # type: ignore[no-redef]


class TasksExecutor(RemoteExecutor):
    """Enqueues by the default backend of the setting `TASKS`."""

    name = "tasks"

    def publish(self, turn_id: UUID) -> None:
        """Enqueue the task."""
        if queue := conf().EXECUTOR_QUEUE:
            run.using(queue_name=queue).enqueue(str(turn_id))
        else:
            run.enqueue(str(turn_id))


@task()
def run(turn_id: str) -> None:
    """Run the turn of this id; a process is a worker from its first turn on."""
    here = executor()
    if isinstance(here, TasksExecutor):
        here.start_as_worker()
    run_turn(UUID(turn_id))
