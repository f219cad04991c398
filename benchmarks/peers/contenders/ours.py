"""This project: the message stored, `run_turn`, every row and event of it committed."""

import os
import tempfile
from pathlib import Path

from benchmarks import site

from .pacing import addresses, serve_in_threads


def main() -> None:
    where = addresses()
    with tempfile.TemporaryDirectory(prefix="automate-peers-") as directory:
        site.set_up(Path(directory), database_url=os.environ.get("BENCHMARK_DATABASE_URL", ""))
        with site.model_at(where.model):
            site.register(where.mcp)
            from chat.connections import let_go_of_database
            from chat.engine import run_turn
            from chat.models import ToolCall, Turn

            def turn() -> None:
                asked = site.asked_turn()
                run_turn(asked.pk)
                done = Turn.objects.get(pk=asked.pk)
                made = done.tool_calls.filter(status=ToolCall.Status.SUCCEEDED).count()
                if done.status != Turn.Status.DONE or made != 3:
                    raise RuntimeError(f"a turn ended {done.status}: {done.notice!r}")
                let_go_of_database()  # a pool has fewer connections than there are threads

            serve_in_threads(turn)


if __name__ == "__main__":
    main()
