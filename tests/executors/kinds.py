"""Every executor with every broker that we say it works with, and the commands of its workers."""

import socket
import sys
from dataclasses import dataclass, field

REDIS = "redis://127.0.0.1:6379/9"
RABBITMQ = "amqp://guest:guest@127.0.0.1:5672//"

_CELERY = (
    *(sys.executable, "-m", "celery", "-A", "config", "worker", "--loglevel", "WARNING"),
    *("--without-gossip", "--without-mingle", "--queues", "{queue}", "--concurrency", "2"),
    # Two workers of one name are one to RabbitMQ, which refuses the second.
    *("--hostname", "{queue}@%h"),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One executor with one broker."""

    name: str
    executor: str
    environment: dict[str, str] = field(default_factory=dict)
    worker: tuple[str, ...] = ()
    """The command of a worker; none where the web process is one."""
    workers: int = 1
    """How many processes run two turns at once."""
    port: int = 0
    """Where its broker listens; none where it needs none."""

    @property
    def missing(self) -> str:
        """Why it cannot be tried here; empty where it can."""
        if not self.port:
            return ""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
        except OSError:
            return f"nothing listens on port {self.port} for {self.name}"
        return ""


KINDS = (
    Kind("thread", "thread"),
    Kind(
        "celery-redis",
        "celery",
        {"CELERY_BROKER_URL": REDIS},
        (*_CELERY, "--pool", "prefork"),
        port=6379,
    ),
    Kind(
        "celery-rabbitmq",
        "celery",
        {"CELERY_BROKER_URL": RABBITMQ},
        (*_CELERY, "--pool", "threads"),
        port=5672,
    ),
    Kind(
        "tasks-huey-redis",
        "tasks",
        {"TASKS_BACKEND": "huey.contrib.djhuey.tasks_backend.HueyBackend", "REDIS_URL": REDIS},
        (sys.executable, "manage.py", "run_huey", "--workers", "2"),
        port=6379,
    ),
    Kind(
        "tasks-db",
        "tasks",
        {"TASKS_BACKEND": "django_tasks_db.DatabaseBackend"},
        (*(sys.executable, "manage.py", "db_worker"), "--interval", "0.1", "--queue-name", "*"),
        workers=2,
    ),
)
