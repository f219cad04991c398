"""Child processes that say `READY <address>` and end when their standard input is closed.

Closing the pipe is how they learn of the parent's end, so even a parent that was killed leaves
none of them behind.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

READY = "READY "
_LAST_WORDS = 2_000


class ChildFailed(Exception):
    """A child process ended, or gave no address in time."""


class Child:
    """One Python process, started at once; `stop` ends it, as does the end of a `with` block.

    It has a session of its own, so Ctrl-C in the terminal reaches the parent alone. What it
    writes to standard error goes into `log`.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.said: list[str] = []
        self._address = ""
        self._spoke = threading.Event()
        with log.open("wb") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and scripts
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **(environment or {})},
                cwd=directory,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._listen, name=f"{name} output")
        self._reader.start()

    def address(self, seconds: float) -> str:
        """What it gave as its address, once it is ready.

        `said` then holds the lines that it printed before.

        Raises:
            ChildFailed: it ended, or was not ready in that time.
        """
        if not self._spoke.wait(seconds):
            raise ChildFailed(f"{self.name} did not start within {seconds:g} seconds.")
        if not self._address:
            raise ChildFailed(f"{self.name} did not start. {self.last_words()}".rstrip())
        return self._address

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def wait(self) -> int:
        """Stay until it ends by itself; how it ended."""
        return self._process.wait()

    @property
    def exit_code(self) -> int | None:
        """How its process ended; nothing while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """The end of what it wrote to standard error."""
        return self.log.read_text(errors="replace")[-_LAST_WORDS:].strip()

    def stop(self, seconds: float = 5.0) -> None:
        """End it: close its standard input, and kill it where that is not enough."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _listen(self) -> None:
        output = self._process.stdout
        if output is None:
            return
        with output:
            for raw in output:
                line = raw.decode(errors="replace").rstrip()
                if line.startswith(READY):
                    self._address = line.removeprefix(READY)
                    self._spoke.set()
                elif not self._address:
                    self.said.append(line)
        self._spoke.set()
