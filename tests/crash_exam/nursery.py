"""The other end of `dying`: raises processes, hears of their births and deaths."""

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

SECONDS = 60


class Nursery:
    """One process at a time, a new one after each death. Ended with its block."""

    def __init__(self, *command: str, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash_exam.dying", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            bufsize=0,
        )
        self._news: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._is_web = command[0] == "web"
        self.pid = 0
        """The process there is now; 0 where it died."""

    def __enter__(self) -> Self:
        self.raise_next()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(SECONDS)
        self._reader.join()
        self._process.stdout.close()

    def raise_next(self) -> None:
        """Start the next process; a web process is ready then."""
        self._write({"do": "fork"})
        news = self._heard()
        if self._is_web:  # it may be ready before its birth is told of
            news |= self._heard()
            assert "ready" in news, "the web process died at its start"
        self.pid = news["born"]

    def told(self, do: str, **order: Any) -> dict[str, Any] | None:
        """Have the web process do something; nothing where it died of it."""
        self._write({"do": do, **order})
        news = self._heard()
        if "died" in news:
            self.pid = 0
            return None
        return news

    def has_died(self) -> bool:
        """Whether the process there was is gone; asked once for each."""
        try:
            news = self._news.get_nowait()
        except Empty:
            return False
        if "died" not in news:
            raise RuntimeError(f"The nursery said {news} where only a death could be told.")
        self.pid = 0
        return True

    def _write(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")

    def _heard(self) -> dict[str, Any]:
        return self._news.get(timeout=SECONDS)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            # What the workers' libraries print is no news.
            if line.startswith(b"{"):
                self._news.put(json.loads(line))
