"""Ends this process, as `kill -9` does, at one of the moments right before and after a commit.

The moments are those of one turn in one role: of the web process that stores its message, or of
the worker that runs it, however many processes that takes. They are counted in a file, which also
says afterwards how many there were.
"""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection

ORDER = "CRASH_EXAM_ORDER"
"""The environment's name for the file with the order: `submission`, `role` and `die_at`."""

ROLES = ("web", "worker", "call")
"""Who dies: the process that stores the message, the one that runs the turn at one of its commits,
the one that runs it while a call of its is out."""


def count_file(order_file: Path) -> Path:
    """Where the moments of an order are counted, a byte for each."""
    return order_file.with_suffix(".moments")


def over_file(order_file: Path) -> Path:
    """Is there once a process has come to the end of an order, alive."""
    return order_file.with_suffix(".over")


@contextmanager
def counted(role: str, submission: UUID) -> Iterator[None]:
    """Count the moments of the block, where the order is for this turn and role."""
    order_file = Path(os.environ[ORDER])
    order = json.loads(order_file.read_text())
    if (order["role"], order["submission"]) != (role, str(submission)):
        yield
        return
    from chat import scribe  # the names above are read before Django is set up

    over_file(order_file).unlink(missing_ok=True)  # an earlier run of the turn made it
    moments = _Moments(count_file(order_file), order["die_at"])
    commit = connection._commit

    def counted_commit() -> None:
        moments.around(commit)

    def counted_insert(*parts: Any, **named: Any) -> None:
        moments.around(partial(insert, *parts, **named))

    connection._commit = counted_commit
    insert = scribe._insert
    scribe._insert = counted_insert  # the one write that another thread does
    try:
        with connection.execute_wrapper(moments.statement):
            yield
    finally:
        connection._commit = commit
        scribe._insert = insert
        moments.close()
        over_file(order_file).touch()


_NO_WRITES = ("SELECT", "SAVEPOINT", "BEGIN")


class _Moments:
    def __init__(self, file: Path, die_at: int) -> None:
        # Appended to, so that two processes which overlap count together.
        self._file = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        self._die_at = die_at
        self._lock = threading.Lock()
        self._is_over = False

    def close(self) -> None:
        """The scribe may still be at its last insert, which then is none of these moments."""
        with self._lock:
            self._is_over = True
            os.close(self._file)

    def around(self, commit: Callable[..., Any], *args: Any) -> Any:
        self._pass_one()
        result = commit(*args)
        self._pass_one()
        return result

    def statement(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if context["connection"].in_atomic_block or sql.startswith(_NO_WRITES):
            return execute(sql, params, many, context)
        return self.around(execute, sql, params, many, context)

    def _pass_one(self) -> None:
        with self._lock:
            if self._is_over:
                return  # the number of the closed file may be another's by now
            os.write(self._file, b".")
            if os.fstat(self._file).st_size == self._die_at:
                os.kill(os.getpid(), signal.SIGKILL)
