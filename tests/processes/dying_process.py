"""A process that sends a message and runs its turn, and dies at the moment that it is told.

Each line on standard input is JSON: `automate` (the setting), `user`, `text`, `submission`,
`die_at`, and `conversation` where there is one already. For each, a fork of this process does the
work and counts the moments right before and right after every commit of a write; at the one whose
number is `die_at` it kills itself as `kill -9` does. Each line on standard output is the signal
that ended it, 0 where none did.

The database is the one that is named on the command line.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any
from uuid import UUID

import django
import httpx2


class Moments:
    """Counts the moments around commits, and ends the process at one of them."""

    def __init__(self, die_at: int) -> None:
        self._left = die_at

    def pass_one(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, commit: Callable[..., Any], *args: Any) -> Any:
        self.pass_one()
        result = commit(*args)
        self.pass_one()
        return result

    def statement(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if context["connection"].in_atomic_block or sql.startswith(("SELECT", "SAVEPOINT")):
            return execute(sql, params, many, context)
        return self.around(execute, sql, params, many, context)


class NoExecutor:
    """Leaves the turn to whoever runs it next."""

    def submit(self, turn_id: UUID) -> None:
        return


def work(order: dict[str, Any]) -> None:
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.db import connection

    from chat import queueing, scribe
    from chat.engine import run_turn
    from chat.models import Conversation
    from chat.submission import send_message

    settings.AUTOMATE = order["automate"]
    queueing.executor = NoExecutor
    user = get_user_model().objects.get(pk=order["user"])
    moments = Moments(order["die_at"])
    commit = connection._commit
    connection._commit = lambda: moments.around(commit)
    insert = scribe._insert
    # The one write that another thread does.
    scribe._insert = lambda *parts, **named: moments.around(partial(insert, *parts, **named))
    with connection.execute_wrapper(moments.statement):
        earlier = Conversation.objects.filter(pk=order.get("conversation")).first()
        turn = send_message(user, earlier, order["text"], UUID(order["submission"]))
        run_turn(turn.pk)


def main() -> None:
    django.setup()
    from django.db import connection

    # What takes long is done once, not in each fork.
    for heavy in ("automate_llm.providers.openai", "chat.engine", "chat.submission"):
        import_module(heavy)
    httpx2.Client().close()
    connection.settings_dict["NAME"] = sys.argv[1]
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            work(json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, flush=True)


if __name__ == "__main__":
    main()
