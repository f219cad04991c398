"""A process that raises others which may die: a web process, or a worker by its own command.

    python -m tests.crash_exam.dying web
    python -m tests.crash_exam.dying worker manage.py db_worker …

It loads everything once; each process is a fork of it, so that the next one is there at once. On
standard input a line `{"do": "fork"}` raises the next one, any other is handed to the web process.
On standard output a line tells of each birth and death; the web process adds its answers. The end
of the input ends both.
"""

import json
import os
import runpy
import select
import signal
import sys
from importlib import import_module
from typing import Any
from uuid import UUID

import django
import httpx2

from .moments import counted


def main() -> None:
    django.setup()
    from django.db import connections

    heavy = ("automate_llm.providers.openai", "chat.engine", "chat.tasks", "tests.executors.orders")
    for module in heavy:
        import_module(module)
    httpx2.Client().close()
    connections.close_all()
    child, watched, orders = 0, -1, -1
    while True:
        ready, _, _ = select.select([0] if watched < 0 else [0, watched], [], [])
        if watched in ready:
            _, status = os.waitpid(child, 0)
            os.close(watched)
            os.close(orders)
            watched = -1
            say(died=os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)
        if 0 in ready:
            lines = os.read(0, 65536)
            if not lines:
                if watched >= 0:
                    os.kill(child, signal.SIGKILL)
                return
            # Two at once: one for a process that died before it was read, and that for the next.
            for line in lines.splitlines(keepends=True):
                if json.loads(line)["do"] == "fork":
                    child, orders = born()
                    watched = os.pidfd_open(child)
                    say(born=child)
                elif watched >= 0:
                    os.write(orders, line)


def born() -> tuple[int, int]:
    """A child at work; its process id, and where its orders are written."""
    reading, writing = os.pipe()
    if child := os.fork():
        os.close(reading)
        return child, writing
    os.dup2(reading, 0)
    os.close(writing)
    try:
        work()
    finally:
        os._exit(1)


def work() -> None:
    if sys.argv[1] == "web":
        serve()
        return
    count_moments_of_turns()
    program, *rest = sys.argv[2:]
    sys.argv = [program, *rest]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


def serve() -> None:
    """What a web process does, and what its threads do where turns run in it."""
    from chat.executors import executor
    from tests.executors.orders import carry_out

    count_moments_of_turns()
    executor().start()
    say(ready=True)
    for line in os.fdopen(0):
        order = json.loads(line)
        if order["do"] == "send":
            with counted("web", UUID(order["submission"])):
                answer = carry_out(order)
        else:
            answer = carry_out(order)
        say(**answer, did=order["do"])


def count_moments_of_turns() -> None:
    from automate.conf import conf
    from chat.models import Turn

    module = import_module(f"chat.executors.{conf().EXECUTOR}")
    run_turn = module.run_turn

    def run_counted(turn_id: UUID) -> None:
        submission = Turn.objects.values_list("submission", flat=True).get(pk=turn_id)
        with counted("worker", submission):
            run_turn(turn_id)

    module.run_turn = run_counted


def say(**what: Any) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
