"""The benchmarks' command, in a short form: that it measures, not what it measures."""

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
NUMBER = re.compile(r"[\d,]+(\.\d\d)?")


def test_the_command_prints_a_table_with_medians_and_ratios_for_each_benchmark() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--rounds", "1", "--only", "b,e,f,g,h"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"Python [\d.]+, SQLite [\d.]+, .*\d+ cores", done.stdout)
    tables = _tables(done.stdout)
    assert list(tables) == ["(b)", "(e)", "(f)", "(g)", "(h)"]
    for letter, rows in tables.items():
        assert rows[0] == ["", "CPU ms", "wall ms", "compared", "goal", ""]
        assert all(NUMBER.fullmatch(cell) for row in rows[1:] for cell in row[1:3])
        assert [row[5] for row in rows[1:] if row[4]] != [] or letter == "(g)"
        assert {row[5] for row in rows[1:] if row[4]} <= {"met", "MISSED"}
    assert [len(rows) - 1 for rows in tables.values()] == [2, 3, 8, 2, 2]


def test_an_unknown_benchmark_is_refused_with_the_known_ones() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "z"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 2
    assert "'z' is none of a, b, c, d, e, f, g, h" in done.stderr


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
