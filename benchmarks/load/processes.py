"""The processes of a load run, and what each of them costs."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A child of this process: `python -m …`, which prints `READY <address>` where it serves."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=_PROJECT,
            env={**os.environ, **environment},
        )

    def address(self) -> str:
        """The address that it prints when it is ready."""
        for line in self._process.stdout or ():
            if line.startswith("READY "):
                return line.removeprefix("READY ").strip()
        raise RuntimeError("a process ended before it was ready")

    def cpu_seconds(self) -> float:
        """What it has used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def megabytes(self) -> float:
        """What it holds in memory now."""
        return self._status("VmRSS")

    def peak_megabytes(self) -> float:
        """The most that it has held in memory."""
        return self._status("VmHWM")

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _status(self, name: str) -> float:
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
        return 0.0


@contextmanager
def process(*arguments: object, **environment: str) -> Iterator[Process]:
    """Run it while the block lasts."""
    started = Process(*arguments, **environment)
    try:
        yield started
    finally:
        started.end()


class CPU:
    """What several processes use between two moments, each as a part of one core."""

    def __init__(self, **processes: Process) -> None:
        self._processes = processes
        self._began = time.monotonic()
        self._at_first = {name: each.cpu_seconds() for name, each in processes.items()}

    def so_far(self) -> dict[str, float]:
        """Cores, since the beginning."""
        seconds = time.monotonic() - self._began
        return {
            name: (each.cpu_seconds() - self._at_first[name]) / seconds
            for name, each in self._processes.items()
        }
