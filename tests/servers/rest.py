"""A server of the simple HTTP dialect in a thread, over loopback HTTP."""

import json
import socket
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from .recording import Seen


class Refusal(Exception):
    """Raised by a handler: the request gets this status and body."""

    def __init__(self, status: int, body: Any = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = {"error": "refused"} if body is None else body


class RestServer:
    """Serves from the moment it is made until `stop`, or the end of its `with` block.

    `tools` is what `GET /tools` lists, broken or not. `handle(tool, arguments)` gives the result
    of a call and runs in a thread of its own; it may block on `stopping`. Each may be changed
    while the server runs, as may `refuse_with`: an HTTP status that every request gets; 0 serves.
    """

    def __init__(
        self,
        tools: Sequence[Any] = (),
        handle: Callable[[str, dict[str, Any]], Any] = lambda tool, arguments: "done",
        *,
        token: str = "",
        api_key: str = "",
        api_key_header: str = "X-API-Key",
    ) -> None:
        self.tools: Sequence[Any] = tools
        self.handle = handle
        self.refuse_with = 0
        self.requests: list[Seen] = []
        self.stopping = threading.Event()
        self.credential = ("authorization", f"Bearer {token}") if token else None
        if api_key:
            self.credential = (api_key_header.lower(), api_key)
        self._http = _HTTP(self)
        self.port: int = self._http.server_port
        self.url = f"http://127.0.0.1:{self.port}/api"
        self._thread = threading.Thread(
            target=lambda: self._http.serve_forever(poll_interval=0.005),
            name=f"REST server at {self.url}",
        )
        self._thread.start()

    def calls(self, tool: str | None = None) -> list[dict[str, Any]]:
        """The arguments of every call that reached the server, of one tool or of all."""
        bodies = [each.body for each in self.requests if each.method == "POST" and each.body]
        return [body["arguments"] for body in bodies if tool in (None, body["tool"])]

    def stop(self) -> None:
        """Cut every connection and wait for the threads. A second call does nothing."""
        self.stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.cut_connections()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class _HTTP(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close waits for them

    def __init__(self, owner: RestServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        """End the wait of every handler that still reads or writes."""
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # the client was faster
                    continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news here."""


class _Handler(BaseHTTPRequestHandler):
    server: _HTTP
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve("/api/tools", lambda body: {"tools": list(self.server.owner.tools)})

    def do_POST(self) -> None:
        self._serve("/api/execute", self._execute)

    def _execute(self, body: Any) -> Any:
        return {"result": self.server.owner.handle(body["tool"], body["arguments"])}

    def log_message(self, format: str, *args: Any) -> None:
        return

    def _serve(self, path: str, work: Callable[[Any], Any]) -> None:
        owner = self.server.owner
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.loads(content) if content else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        owner.requests.append(Seen(self.command, self.path, headers, body))
        try:
            if owner.refuse_with:
                raise Refusal(owner.refuse_with)
            if owner.credential and headers.get(owner.credential[0]) != owner.credential[1]:
                raise Refusal(401)
            if self.path != path:
                raise Refusal(404)
            self._answer(200, work(body))
        except Refusal as refusal:
            self._answer(refusal.status, refusal.body)

    def _answer(self, status: int, body: Any) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
