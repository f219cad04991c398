"""Where turns run. An executor carries a turn's id and nothing else.

All reliability lies in the turn's row: an id that is delivered twice runs once, and one that is
never delivered is found by the next sweep.
"""

import os
from functools import cache
from typing import Protocol
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured

from automate.conf import EXECUTORS, conf

from .requirements import problem_of


class Executor(Protocol):
    """Takes the ids of turns and has them run, sooner or later, at least once."""

    in_process: bool
    """Whether turns run in the process that submits them."""

    def start(self) -> None:
        """Begin to work, and find what an earlier process left; a second call does nothing."""
        ...

    def submit(self, turn_id: UUID) -> None:
        """Have this turn run. It returns at once, and never fails: what is lost is found again."""
        ...

    def stop(self) -> None:
        """Begin no more turns here; returns when those under way have ended."""
        ...


def executor() -> Executor:
    """The executor that `AUTOMATE["EXECUTOR"]` names.

    Raises:
        ImproperlyConfigured: there is none of that name, or it lacks what it needs.
    """
    return _executor(conf().EXECUTOR)


def stop_executor() -> None:
    """End the work of this process in order; the next call of `executor` begins anew."""
    if _executor.cache_info().currsize:
        executor().stop()
        _executor.cache_clear()


# Each is imported where it is chosen: it loads the engine, or a library that is an extra.
@cache
def _executor(name: str) -> Executor:
    if problem := problem_of(name, conf().EXECUTOR_QUEUE):
        raise ImproperlyConfigured(" ".join(problem))
    if name == "thread":
        from .thread import ThreadExecutor

        return ThreadExecutor()
    if name == "celery":
        from .celery import CeleryExecutor

        return CeleryExecutor()
    if name == "tasks":
        from .tasks import TasksExecutor

        return TasksExecutor()
    known = ", ".join(map(repr, EXECUTORS))
    raise ImproperlyConfigured(f"AUTOMATE['EXECUTOR'] is {name!r}; it may be {known}.")


# A forked process has none of its parent's threads, and a lock may be held for ever in its copy.
os.register_at_fork(after_in_child=_executor.cache_clear)
