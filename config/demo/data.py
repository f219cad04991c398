"""The demo's folder: one demo at a time may use it."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

LOCK = "lock"


class FolderInUse(Exception):
    """Another demo runs on the folder."""


@contextmanager
def demo_folder(path: Path, *, fresh: bool) -> Iterator[None]:
    """The folder is there, for nobody but us, while the block lasts; `fresh` empties it first.

    The lock is SQLite's own, which no process keeps beyond its end, however it ended.

    Raises:
        FolderInUse: another demo has it.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(sqlite3.connect(path / LOCK, timeout=0, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as exc:
            raise FolderInUse(
                f"Another demo uses {path}. End it first, or name another folder by --data."
            ) from exc
        if fresh:
            _empty(path)
        yield


def _empty(path: Path) -> None:
    for entry in path.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif not entry.name.startswith(LOCK):
            entry.unlink()
