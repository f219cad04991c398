"""The runnable site's Celery app: `celery -A config worker --pool threads`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("config")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_finalize.connect  # type: ignore[untyped-decorator]
def _schedule(sender: Celery, **kwargs: object) -> None:
    # The apps are loaded only now.
    from automate.tasks import beat_schedule as syncs
    from chat.executors.celery import beat_schedule as sweeps

    sender.conf.beat_schedule = sweeps() | syncs()
