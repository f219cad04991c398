import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.demo.test_children import closed_by_peer

PROJECT = Path(__file__).parents[2]
LAST_LINE = "Ctrl-C ends it."


def environment():
    """What a newcomer's shell has: no settings and no model of theirs."""
    foreign = ("OPENAI_", "AUTOMATE_", "DJANGO_", "DATABASE_URL", "SECRET_KEY", "DEBUG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {"PYTHONUNBUFFERED": "1"}


@contextmanager
def demo(*options):
    """`manage.py demo` until it has said everything; gives the process and what it said."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "demo", "--port", "0", *options],
        cwd=PROJECT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell lets what it starts in the background ignore Ctrl-C, and so would the demo.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith(LAST_LINE):
                break
        yield process, "".join(lines)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def connected(said):
    """A connection to the site that the demo gave, held open."""
    address = urlsplit(re.search(r"http://\S+", said)[0])
    return socket.create_connection((address.hostname, address.port), timeout=20)


def test_the_check_runs_a_whole_turn_and_says_what_it_checked():
    finished = subprocess.run(
        [sys.executable, "manage.py", "demo", "--check"],
        cwd=PROJECT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "synced Corner shop: 5 tools" in finished.stdout
    assert "synced Branches: 2 tools" in finished.stdout
    assert "a tool call succeeded" in finished.stdout
    assert finished.stdout.endswith("The demo works.\n")


def test_a_demo_serves_until_it_is_ended_and_then_nothing_of_it_is_left(tmp_path):
    with demo("--data", str(tmp_path / "demo")) as (process, said), connected(said) as held_open:
        assert re.search(r"^Password +\S+ +\(shown this once\)$", said, re.MULTILINE)
        assert "picks tools by words and is not an AI" in said

        process.send_signal(signal.SIGINT)

        assert closed_by_peer(held_open)
        assert process.stdout.read().strip() == "The demo has ended."
        assert process.wait(20) == 0

    with demo("--data", str(tmp_path / "demo")) as (process, said), connected(said) as held_open:
        assert "--fresh begins anew" in said
        assert "shown this once" not in said

        process.kill()

        assert closed_by_peer(held_open)
