"""Turns on Celery's workers. The broker carries ids; what must not be lost is in the rows."""

from typing import Any
from uuid import UUID

from celery import current_app, shared_task, signals
from celery.concurrency import get_implementation

from automate.conf import conf
from chat.engine import run_turn
from chat.models import lease
from chat.sweeping import sweep

from . import executor, stop_executor
from .remote import RemoteExecutor


class CeleryExecutor(RemoteExecutor):
    """Publishes by the site's own Celery app."""

    name = "celery"

    def publish(self, turn_id: UUID) -> None:
        """Send the task; a connection that went stale is made anew once."""
        run.apply_async(
            (str(turn_id),),
            queue=conf().EXECUTOR_QUEUE or None,
            retry=True,
            retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0},
        )


# Acknowledged at its end, so that a turn whose worker dies before it claims the row comes again.
@shared_task(name="chat.run_turn", acks_late=True, ignore_result=True)  # type: ignore[untyped-decorator]
def run(turn_id: str) -> None:
    """Run the turn of this id."""
    run_turn(UUID(turn_id))


@shared_task(name="chat.sweep", ignore_result=True)  # type: ignore[untyped-decorator]
def sweep_turns() -> None:
    """Sweep once, for a site that has beat; each process also does so by itself."""
    _executor().hand_over(sweep().queued)


def beat_schedule() -> dict[str, Any]:
    """Entries for a Celery app's `beat_schedule`, for a site that runs beat."""
    schedule: dict[str, Any] = {"task": "chat.sweep", "schedule": lease().total_seconds()}
    if queue := conf().EXECUTOR_QUEUE:
        schedule["options"] = {"queue": queue}
    return {"chat-sweep": schedule}


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def _child_began(**kwargs: Any) -> None:
    if _runs_turns():
        _executor().start_as_worker()


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def _worker_began(sender: Any, **kwargs: Any) -> None:
    if not _runs_turns():
        return
    if isinstance(sender.pool, get_implementation("prefork")):
        _executor().start()  # its children run the turns
    else:
        _executor().start_as_worker()


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
@signals.worker_shutdown.connect  # type: ignore[untyped-decorator]
def _ended(**kwargs: Any) -> None:
    stop_executor()


def _runs_turns() -> bool:
    """Whether this worker takes tasks from the queue that turns go to."""
    queue = conf().EXECUTOR_QUEUE or current_app.conf.task_default_queue
    return queue in current_app.amqp.queues.consume_from


def _executor() -> CeleryExecutor:
    found = executor()
    assert isinstance(found, CeleryExecutor), "AUTOMATE['EXECUTOR'] is not 'celery' here"  # noqa: S101
    return found
