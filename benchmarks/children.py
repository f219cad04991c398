"""The peers' processes: their CPU is not that of the process that measures."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROJECT = Path(__file__).resolve().parent.parent
_READY = "READY "


@contextmanager
def child(*arguments: object, **environment: str) -> Iterator[str]:
    """Run `python -m …` while the block lasts; gives the address that it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=_PROJECT,
        env={**os.environ, **environment},
    )
    try:
        yield _address(process, str(arguments[0]))
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _address(process: subprocess.Popen[str], name: str) -> str:
    for line in process.stdout or ():
        if line.startswith(_READY):
            return line.removeprefix(_READY).strip()
    raise RuntimeError(f"{name} ended before it was ready")
