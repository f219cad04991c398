"""A site as it is deployed: a web process and workers, each a process of its own."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection

from .kinds import KINDS, Kind

ROOT = Path(__file__).parent.parent.parent
SECONDS_TO_END = 20


class Deployment:
    """Processes of one site on the test's database; a web process starts with the block.

    `automate` is the site's setting; what it lacks is as the test has it.
    """

    def __init__(self, kind: Kind, user: Any, *, web: bool = True, **automate: Any) -> None:
        self.kind = kind
        self.queue = f"automate_test_{uuid4().hex[:8]}"
        self._user = user
        self._has_web = web
        chosen = {
            **settings.AUTOMATE,
            "EXECUTOR": kind.executor,
            "LEASE_SECONDS": 2.0,
            "EXECUTOR_QUEUE": self.queue if kind.executor == "celery" else "",
            **automate,
        }
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.executors.settings",
            "AUTOMATE_EXECUTOR": kind.executor,
            "TEST_QUEUE": self.queue,
            "TEST_DATABASE": str(connection.settings_dict["NAME"]),
            "TEST_AUTOMATE": json.dumps(chosen),
            **kind.environment,
        }
        self._web: subprocess.Popen[str] | None = None
        self.workers: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        if self._has_web:
            self.start_web()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in [*self.workers, *([self._web] if self._web else [])]:
            _kill(process)
        if self.kind in KINDS:  # the broker of another kind is away, or the test's own
            self._clear_broker()

    def start_web(self) -> None:
        """Start the web process; it sweeps at once."""
        self._web = self._started(
            [sys.executable, "-m", "tests.executors.web_process"], subprocess.PIPE
        )
        self._heard()

    def start_workers(self) -> None:
        """Start what runs two turns at once: workers, or the web process where that is one."""
        if not self.kind.worker:
            if self._web is None:
                self.start_web()
            return
        for _ in range(self.kind.workers):
            self.start(*(part.format(queue=self.queue) for part in self.kind.worker))

    def start(self, *command: str) -> None:
        """Start a process of this site; it is one of the workers, however it works."""
        self.workers.append(self._started(list(command), subprocess.DEVNULL))

    def kill_workers(self) -> None:
        """End everything that runs turns as `kill -9` does, children first to last."""
        if not self.kind.worker and self._web is not None:
            _kill(self._web)
            self._web = None
        for process in self.workers:
            _kill(process)
        self.workers = []

    def end_workers(self) -> None:
        """End the workers as an operator does, in order."""
        for process in self.workers:
            process.send_signal(signal.SIGINT if "run_huey" in process.args else signal.SIGTERM)
        for process in self.workers:
            process.wait(SECONDS_TO_END)
        self.workers = []

    def send(self, text: str) -> UUID:
        """Let the person send a message in a new conversation; returns its turn."""
        return UUID(self.told("send", user=self._user.get_username(), text=text)["turn"])

    def told(self, do: str, **order: Any) -> dict[str, Any]:
        """Have the web process do something; returns its answer."""
        assert self._web is not None and self._web.stdin is not None
        self._web.stdin.write(json.dumps({"do": do, **order}) + "\n")
        self._web.stdin.flush()
        return self._heard()

    def _heard(self) -> dict[str, Any]:
        assert self._web is not None and self._web.stdout is not None
        line = self._web.stdout.readline()
        assert line, "the web process died"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _started(self, command: list[str], talk: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment,
            stdin=talk,
            stdout=talk,
            text=True,
            start_new_session=True,
        )

    def _clear_broker(self) -> None:
        url = self.kind.environment.get("REDIS_URL", "")
        if "CELERY_BROKER_URL" in self.kind.environment:
            url = self.kind.environment["CELERY_BROKER_URL"]
            from kombu import Connection

            with Connection(url) as broker:
                broker.default_channel.queue_delete(self.queue)
        if url.startswith("redis"):
            from redis import Redis

            with Redis.from_url(url) as redis:
                for key in redis.scan_iter(f"*{self.queue}*"):
                    redis.delete(key)


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill the process and all its children, which are of its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
