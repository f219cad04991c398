"""The benchmarks' command, in a short form: that it measures, not what it measures."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.children import child
from benchmarks.peers.__main__ import contender
from benchmarks.tools import ARGUMENTS

PROJECT = Path(__file__).resolve().parents[2]
NUMBER = re.compile(r"[\d,]+(\.\d\d)?")


def test_the_command_prints_a_table_with_medians_and_ratios_for_each_benchmark() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--rounds", "1", "--only", "b,d,e,f,g,h,i"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"Python [\d.]+, SQLite [\d.]+, .*\d+ cores", done.stdout)
    tables = _tables(done.stdout)
    assert list(tables) == ["(b)", "(d)", "(e)", "(f)", "(g)", "(h)", "(i)"]
    for letter, rows in tables.items():
        assert rows[0] == ["", "CPU ms", "wall ms", "compared", "goal", ""]
        assert all(NUMBER.fullmatch(cell) for row in rows[1:] for cell in row[1:3])
        assert [row[5] for row in rows[1:] if row[4]] != [] or letter in "(d)(g)"
        assert {row[5] for row in rows[1:] if row[4]} <= {"met", "MISSED"}
    assert [len(rows) - 1 for rows in tables.values()] == [2, 4, 3, 8, 2, 2, 2]


def test_an_unknown_benchmark_is_refused_with_the_known_ones() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "z"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 2
    assert "'z' is none of a, b, c, d, e, f, g, h, i" in done.stderr


def _tables(output: str) -> dict[str, list[list[str]]]:
    """The cells of each table by the letter that stands before it, without the ruled line."""
    tables: dict[str, list[list[str]]] = {}
    letter = ""
    for line in output.splitlines():
        if line.startswith("("):
            letter = line[:3]
        elif line.startswith("| "):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            tables.setdefault(letter, []).append(cells)
    return tables


def test_the_peers_are_named_where_they_are_not_installed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers"],
        cwd=PROJECT,
        env={**os.environ, "AUTOMATE_BENCHMARK_PEERS_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 2
    assert "python -m benchmarks.peers --install" in done.stderr


@pytest.mark.parametrize("name", ["ours", "bare_sdk", "bare_loop"])
def test_a_contender_of_the_peers_runs_as_many_turns_as_it_is_told(name: str) -> None:
    script = ("--script", "three_calls", "--arguments", json.dumps(ARGUMENTS))
    with (
        child("tests.servers.scripted_model", *script) as model,
        child("benchmarks.asgi_server", "benchmarks.sdk_app:app") as shop,
    ):
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.peers.contenders.{name}", model, f"{shop}/mcp"],
            cwd=PROJECT,
            input="2\n",
            capture_output=True,
            text=True,
            timeout=60,
        )

    ready, taken = done.stdout.splitlines()
    assert (done.returncode, ready) == (0, "READY")
    assert set(json.loads(taken)) == {"wall", "cpu"}


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="only Linux holds a process to a core"
)
def test_one_core_is_held_by_a_contender_and_refused_where_there_is_no_other() -> None:
    core = min(os.sched_getaffinity(0))
    script = ("--script", "three_calls", "--arguments", json.dumps(ARGUMENTS))
    with (
        child("tests.servers.scripted_model", *script) as model,
        child("benchmarks.asgi_server", "benchmarks.sdk_app:app") as shop,
        contender("bare_loop", "", sys.executable, (model, f"{shop}/mcp"), core) as held,
    ):
        held.run(2)
        threads = [int(each.name) for each in Path(f"/proc/{held.process.pid}/task").iterdir()]
        assert len(threads) > 1
        assert all(os.sched_getaffinity(each) == {core} for each in threads)

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers", "--one-core"],
        cwd=PROJECT,
        preexec_fn=lambda: os.sched_setaffinity(0, [core]),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "one of several cores" in done.stderr
