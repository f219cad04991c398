"""The site itself under uvicorn, in a thread, over loopback HTTP: as `manage.py demo` serves it."""

import asyncio
import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from .cutting import CuttingServer


class Site:
    """Serves the ASGI application with the test's database until its block ends.

    A site that takes the port of one before it is that one, started again.
    """

    def __init__(self, port: int = 0) -> None:
        from config.asgi import application

        self._listener = socket.create_server(("127.0.0.1", port))
        # Accepted sockets inherit it; asyncio leaves it off where a listener is handed over, and
        # small answers would then wait 40 ms for an acknowledgement.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            _Files(application),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=5,
        )
        self._server = CuttingServer(config)
        self._thread = threading.Thread(target=self._serve, name=f"site at {self.url}")

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._server.ready.wait(10):
            raise RuntimeError("The site did not start.")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop()
        self._thread.join()

    def _serve(self) -> None:
        asyncio.run(self._server.serve([self._listener]))


class _Files(ASGIStaticFilesHandler):
    """Closes a file that a browser asked for and then no longer wanted.

    Django cancels such an answer; while a thread still opens its file, nobody would close it. It is
    waited for, so that a site which stops stops after it.
    """

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        answer = asyncio.ensure_future(super().get_response_async(request))
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            (await answer).close()
            raise
