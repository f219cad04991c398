"""A chat model without a model: picks tools by words, over OpenAI's chat-completions wire.

It works with whatever tools a request brings, needs nothing but the standard library, and knows
nothing: every fact in its answers is a tool's own. The decisions stand in `wordmodel`.

Run it by itself: `python examples/demo_model.py --port 8780`.
"""

import argparse
import contextlib
import hmac
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from examples.wordmodel.planning import reply
from examples.wordmodel.wire import chunks, completion

NOTICE = (
    "Demo model: picks tools by words, it is not an AI. Set OPENAI_API_KEY for a real assistant"
)

MODEL = "demo-model"
MAX_BODY_BYTES = 16 * 1024 * 1024
LOOPBACK = frozenset({"127.0.0.1", "localhost"})


class Refused(Exception):
    """A request that is answered with an HTTP error in OpenAI's shape."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        self.body = {"error": error}


class DemoModelServer(ThreadingHTTPServer):
    """Serves on loopback; `words_per_second` is the pace of a stream, 0 for no pause."""

    daemon_threads = True

    def __init__(self, port: int = 0, *, api_key: str = "", words_per_second: float = 60) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.api_key = api_key
        self.words_per_second = words_per_second
        self.closing = threading.Event()

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def shutdown(self) -> None:
        """Stop serving; streams under way end at once."""
        self.closing.set()
        super().shutdown()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about a client that has gone; report everything else."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """`GET /v1/models` and `POST /v1/chat/completions`, on connections that stay open."""

    server: DemoModelServer
    protocol_version = "HTTP/1.1"
    # A stream's small pieces would otherwise wait for each other's acknowledgement.
    disable_nagle_algorithm = True
    timeout = 120

    def do_GET(self) -> None:
        try:
            self._body()
            self._admit("/v1/models")
        except Refused as refusal:
            return self._send(refusal.status, refusal.body)
        entry = {"id": MODEL, "object": "model", "created": 0, "owned_by": "examples"}
        self._send(200, {"object": "list", "data": [entry]})

    def do_POST(self) -> None:
        try:
            body = self._body()
            self._admit("/v1/chat/completions")
            request = _request(body)
        except Refused as refusal:
            return self._send(refusal.status, refusal.body)
        answer = reply(request)
        model = request["model"] if isinstance(request.get("model"), str) else MODEL
        if request.get("stream") is not True:
            return self._send(200, completion(answer, request, model))
        self._begin_events()
        pace = self.server.words_per_second
        for chunk, words in chunks(answer, request, model):
            self._send_event(json.dumps(chunk))
            if pace and words and self.server.closing.wait(words / pace):
                self.close_connection = True
                return
        self._send_event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: they would hide the few lines that matter."""

    def _body(self) -> bytes:
        """The request's body, read before anything is refused, so that the next can follow."""
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or (self.command == "POST" and not length):
            self.close_connection = True
            raise Refused(411, "Send the body with a Content-Length.")
        if length and (not length.isdecimal() or int(length) > MAX_BODY_BYTES):
            self.close_connection = True
            raise Refused(413, f"Send a body of at most {MAX_BODY_BYTES} bytes.")
        return self.rfile.read(int(length or 0))

    def _admit(self, path: str) -> None:
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        origin = self.headers.get("Origin")
        if host not in LOOPBACK or (origin and urlsplit(origin).hostname not in LOOPBACK):
            raise Refused(403, "This server answers to 127.0.0.1 and localhost only.")
        key, given = self.server.api_key, self.headers.get("Authorization", "")
        if key and not hmac.compare_digest(given.encode(), f"Bearer {key}".encode()):
            raise Refused(401, "The API key is missing or wrong.", "invalid_api_key")
        if urlsplit(self.path).path != path:
            raise Refused(404, f"There is nothing at {self.command} {self.path!r}.")

    def _send(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _begin_events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _send_event(self, data: str) -> None:
        event = f"data: {data}\n\n".encode()
        self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")


def _request(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "The body is no JSON.") from None
    if not isinstance(request, dict):
        raise Refused(400, "The body must be a JSON object.")
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "'messages' must be a list with at least one message.")
    if not all(isinstance(each, dict) and isinstance(each.get("role"), str) for each in messages):
        raise Refused(400, "Every message must be an object with a 'role'.")
    if not isinstance(request.get("tools") or [], list):
        raise Refused(400, "'tools' must be a list.")
    return request


def main() -> None:
    """Serve until interrupted, or until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8780, help="0 takes a free one")
    parser.add_argument("--api-key", default="", help="clients must send it as a bearer token")
    parser.add_argument(
        "--words-per-second", type=float, default=60, help="the pace of a stream; 0 for no pause"
    )
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="end when standard input is closed"
    )
    options = parser.parse_args()
    with DemoModelServer(
        options.port, api_key=options.api_key, words_per_second=options.words_per_second
    ) as server:
        if options.exit_with_parent:

            def follow_parent() -> None:
                while os.read(sys.stdin.fileno(), 4096):
                    pass
                server.shutdown()

            threading.Thread(target=follow_parent, daemon=True).start()
        print(f"READY {server.base_url}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
