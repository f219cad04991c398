"""Whether the site can answer chats: for load balancers and monitoring, without a login.

Says nothing but numbers, and words of its own.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, transaction
from django.db.models import Case, Count, F, Min, When
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from automate.conf import conf

from .executors import executor
from .models import Turn, Worker

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 2.0
"""How long the database may take; then the answer is that it does not answer."""

KEPT_SECONDS = 1.0
"""How long an answer is good for whoever asks next, so that many who ask cost no more."""

Report = dict[str, Any]


@require_safe
@never_cache
@transaction.non_atomic_requests
def healthz(request: HttpRequest) -> JsonResponse:
    """200 where all is well, 503 where something is not; the body says what.

    `?only=database` leaves the workers out: a web machine is not ill because they are.
    """
    report = _prober.report()
    names = [name for name in report if request.GET.get("only", name) == name] or list(report)
    checks = {name: report[name] for name in names}
    healthy = all(check["ok"] for check in checks.values())
    body = {"status": "ok" if healthy else "unavailable", "checks": checks}
    return JsonResponse(body, status=200 if healthy else 503)


def look() -> Report:
    """Two statements: is the database there, how long does a turn wait, do workers live."""
    started = time.monotonic()
    since = Case(When(started_at=None, then=F("created_at")), default=F("submitted_at"))
    queued = Turn.objects.filter(status=Turn.Status.QUEUED)
    found = queued.aggregate(turns=Count("pk"), oldest=Min(since))
    seconds = round(time.monotonic() - started, 3)
    waited = 0.0
    if found["oldest"] is not None:
        waited = max(0.0, (timezone.now() - found["oldest"]).total_seconds())
    return {
        "database": {"ok": True, "seconds": seconds},
        "executor": _executor_check(),
        "queue": {
            "ok": waited <= conf().HEALTH_QUEUE_SECONDS,
            "turns": found["turns"],
            "oldest_seconds": round(waited, 1),
        },
    }


def _executor_check() -> Report:
    name = conf().EXECUTOR
    try:
        if executor().in_process:
            return {"ok": True, "executor": name, "workers": "in process"}
    except ImproperlyConfigured:
        return {"ok": False, "executor": name, "workers": 0}
    alive = Worker.objects.alive().count()
    return {"ok": alive > 0, "executor": name, "workers": alive}


class Prober:
    """Looks in a thread of its own, one look at a time; those who ask meanwhile share it."""

    def __init__(self, look: Callable[[], Report]) -> None:
        self._look = look
        self.forget()

    def forget(self) -> None:
        """Begin anew: a forked process has none of its parent's threads."""
        self._lock = threading.Lock()
        self._current: Future[Report] | None = None
        self._asked_at = 0.0

    def report(self, seconds: float = ANSWER_SECONDS) -> Report:
        """What a look says that is at most a second old; never waits longer than `seconds`."""
        with self._lock:
            old = time.monotonic() - self._asked_at > KEPT_SECONDS
            if self._current is None or (self._current.done() and old):
                self._current = Future()
                self._asked_at = time.monotonic()
                # A daemon: a process that ends does not wait for a database that is away.
                threading.Thread(
                    target=self._run, args=(self._current,), name="automate-health", daemon=True
                ).start()
            current = self._current
        try:
            return current.result(seconds)
        except FutureTimeout:
            return _no_database("It does not answer.")

    def _run(self, future: Future[Report]) -> None:
        try:
            report = self._look()
        except Exception:  # whoever asks is told, and not left without an answer
            logger.warning("The site's health could not be looked at", exc_info=True)
            report = _no_database("It could not be asked.")
        future.set_result(report)
        connections.close_all()


def _no_database(why: str) -> Report:
    return {"database": {"ok": False, "why": why}}


_prober = Prober(look)
os.register_at_fork(after_in_child=_prober.forget)
