"""The site under uvicorn in a process of its own, which may be killed: `READY <address>`.

The database, and the `AUTOMATE` setting as JSON, are named on the command line.
"""

import json
import os
import socket
import subprocess
import sys
from types import TracebackType
from typing import Any, Self


class SiteProcess:
    """Serves the test's database until its block ends, or it is killed."""

    def __init__(self, database: str, automate: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, database, json.dumps(automate)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self.url = line.removeprefix("READY ").strip()

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()


def main() -> None:
    import uvicorn
    from django.conf import settings

    from config.asgi import application

    settings.DATABASES["default"]["NAME"] = sys.argv[1]
    settings.AUTOMATE = json.loads(sys.argv[2])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print(f"READY http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        uvicorn.Server(uvicorn.Config(application, log_level="error")).run(sockets=[listener])


if __name__ == "__main__":
    main()
