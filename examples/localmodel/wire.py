"""The OpenAI chat-completions wire format over HTTP, for a model that lives in this process."""

import hmac
import json
import secrets
import select
import socket
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from typing import Protocol
from urllib.parse import urlsplit

from .tools import JSON, Call

MAX_BODY = 16 * 1024 * 1024
LOOPBACK = frozenset({"127.0.0.1", "localhost"})


class RequestRefused(Exception):
    """An error for the client, in the shape that OpenAI's clients read."""

    def __init__(self, status: int, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        kind = "invalid_request_error" if status < 500 else "server_error"
        self.body = {"error": {"message": message, "type": kind, "param": None, "code": code}}


class ClientGone(Exception):
    """Nobody reads the reply any more."""


class Model(Protocol):
    """What a `WireHandler` serves."""

    name: str

    def complete(self, body: object, reply: "Reply") -> None: ...


class Reply:
    """One reply, streamed as it is written or sent whole at the end.

    Until the first `write` or `finish` nothing is sent, so an error may still become an
    HTTP status.
    """

    def __init__(self, handler: "WireHandler", model: str, body: object) -> None:
        request = body if isinstance(body, dict) else {}
        stream_options = request.get("stream_options")
        self.usage: JSON | None = None
        self.finish_reason = "stop"
        self.started = False
        self._handler = handler
        self._streamed = bool(request.get("stream"))
        self._with_usage = isinstance(stream_options, dict) and bool(
            stream_options.get("include_usage")
        )
        self._head = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
        }
        self._text = ""

    def check_client(self) -> None:
        """Raise `ClientGone` when the client has closed its connection."""
        connection: socket.socket = self._handler.connection
        readable, _, _ = select.select([connection], [], [], 0)
        try:
            gone = bool(readable) and not connection.recv(1, socket.MSG_PEEK)
        except OSError as exc:
            raise ClientGone from exc
        if gone:
            raise ClientGone

    def write(self, text: str) -> None:
        """Add to the answer's text."""
        self._text += text
        if self._streamed:
            self._send_delta({"content": text})

    def finish(self, call: Call | None) -> None:
        """End the reply, with a call or with what was written."""
        calls = [_wire_call(call)] if call is not None else []
        reason = "tool_calls" if calls else self.finish_reason
        if not self._streamed:
            message: JSON = {"role": "assistant", "content": self._text or None}
            if calls:
                message["tool_calls"] = calls
            choice = {"index": 0, "message": message, "finish_reason": reason}
            whole = {"object": "chat.completion", "choices": [choice], "usage": self.usage}
            return self._handler.send_json(200, self._head | whole)
        if calls:
            self._send_delta({"tool_calls": [{"index": 0, **calls[0]}]})
        self._send_delta({}, reason)
        if self._with_usage and self.usage:
            self._send_chunk({"choices": [], "usage": self.usage})
        self._handler.send_event("[DONE]")

    def _send_delta(self, delta: JSON, reason: str | None = None) -> None:
        if not self.started:
            self.started = True
            self._handler.start_events()
            delta = {"role": "assistant", **delta}
        self._send_chunk({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

    def _send_chunk(self, fields: JSON) -> None:
        chunk = {**self._head, "object": "chat.completion.chunk", **fields}
        self._handler.send_event(json.dumps(chunk))


class WireHandler(BaseHTTPRequestHandler):
    """`POST /v1/chat/completions` and `GET /v1/models`."""

    model: Model
    api_key = ""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        try:
            self._admit(["/v1/models"])
        except RequestRefused as exc:
            return self.send_json(exc.status, exc.body)
        entry = {"id": self.model.name, "object": "model", "created": 0, "owned_by": "local"}
        self.send_json(200, {"object": "list", "data": [entry]})

    def do_POST(self) -> None:
        reply = None
        try:
            self._admit(["/v1/chat/completions"])
            body = self._body()
            reply = Reply(self, self.model.name, body)
            self.model.complete(body, reply)
        except RequestRefused as exc:
            if reply is None or not reply.started:
                self.send_json(exc.status, exc.body)
            else:
                self.send_event(json.dumps(exc.body))
        except (ClientGone, ConnectionError):
            self.close_connection = True

    def send_json(self, status: int, body: JSON) -> None:
        payload = json.dumps(body).encode()
        self.close_connection |= status >= 400
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(payload)

    def start_events(self) -> None:
        """Begin a stream of server-sent events, which ends with the connection."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")
        self.end_headers()

    def send_event(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: they would hide the few lines that matter."""

    def _admit(self, paths: Iterable[str]) -> None:
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        origin = self.headers.get("Origin")
        if host not in LOOPBACK or (origin and urlsplit(origin).hostname not in LOOPBACK):
            raise RequestRefused(403, "this server answers to 127.0.0.1 and localhost only")
        given = self.headers.get("Authorization", "").encode()
        if self.api_key and not hmac.compare_digest(given, f"Bearer {self.api_key}".encode()):
            raise RequestRefused(401, "the API key is missing or wrong", code="invalid_api_key")
        if urlsplit(self.path).path not in paths:
            raise RequestRefused(404, f"there is nothing at {self.command} {self.path}")

    def _body(self) -> object:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise RequestRefused(411, "the request needs a Content-Length")
        if int(length) > MAX_BODY:
            raise RequestRefused(413, f"a request may have {MAX_BODY} bytes at most")
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as exc:
            raise RequestRefused(400, "the request is not valid JSON") from exc


def _wire_call(call: Call) -> JSON:
    return {
        "id": f"call_{secrets.token_hex(12)}",
        "type": "function",
        "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
    }
