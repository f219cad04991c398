"""An MCP registry over loopback HTTP: `GET /v0.1/servers` as the generic registry API has it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


class Registry:
    """Lists `servers` (each a `server.json`) by name, in pages; serves until its block ends.

    `body`, where it is set, is what every request gets instead.
    """

    def __init__(self, servers: list[dict[str, Any]]) -> None:
        self.servers = servers
        self.body: bytes | None = None
        self.asked: list[dict[str, str]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def page(self, query: dict[str, str]) -> dict[str, Any]:
        """What the API answers to this query."""
        words, limit = query.get("search", "").lower(), int(query.get("limit", 30))
        found = [server for server in self.servers if words in server["name"].lower()]
        start = int(query.get("cursor", 0))
        shown = found[start : start + limit]
        metadata: dict[str, Any] = {"count": len(shown)}
        if start + limit < len(found):
            metadata["nextCursor"] = str(start + limit)
        official = {"io.modelcontextprotocol.registry/official": {"status": "active"}}
        return {
            "servers": [{"server": server, "_meta": official} for server in shown],
            "metadata": metadata,
        }


def _handler(registry: Registry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query))
            registry.asked.append(query)
            found = parts.path == "/v0.1/servers"
            body = registry.body or json.dumps(registry.page(query) if found else {}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            return

    return Handler
