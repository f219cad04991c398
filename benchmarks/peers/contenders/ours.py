"""This project: the message stored, `run_turn`, every row and event of it committed.

What is stored is looked at when a round is over: the others need no more than a look at the text.
"""

import os
import tempfile
from pathlib import Path
from uuid import UUID

from benchmarks import site

from .pacing import QUESTION, addresses, expect_answer, serve_in_threads


def main() -> None:
    where = addresses()
    with tempfile.TemporaryDirectory(prefix="automate-peers-") as directory:
        site.set_up(Path(directory), database_url=os.environ.get("BENCHMARK_DATABASE_URL", ""))
        with site.model_at(where.model):
            site.register(where.mcp)
            from chat.connections import let_go_of_database
            from chat.engine import run_turn
            from chat.models import Message, ToolCall, Turn

            person = site.person()
            asked: list[UUID] = []

            def turn() -> None:
                one = site.asked_turn(QUESTION, person).pk
                run_turn(one)
                asked.append(one)
                let_go_of_database()  # a pool has fewer connections than there are threads

            def check() -> None:
                for one in asked:
                    done = Turn.objects.get(pk=one)
                    made = done.tool_calls.filter(status=ToolCall.Status.SUCCEEDED).count()
                    if done.status != Turn.Status.DONE or made != 3:
                        raise RuntimeError(f"a turn ended {done.status}: {done.notice!r}")
                    answer = done.messages.filter(role=Message.Role.ASSISTANT).latest("pk")
                    expect_answer(answer.content)
                asked.clear()

            serve_in_threads(turn, check)


if __name__ == "__main__":
    main()
