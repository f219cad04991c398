"""MCP servers that cost next to nothing, in a child process: every answer is made beforehand.

`/mcp/<n>` speaks MCP 2026-07-28 with JSON answers, `/stream/<n>` with event streams,
`/<version>/<n>` a version that begins with a handshake, `/sse/<n>` the transport of 2024-11-05, and
`/rest/<n>` the simple HTTP dialect.
"""

import argparse
import json
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

from .tools import ANSWER, tool_list

VERSION = "2026-07-28"
_COMPLETE = {"resultType": "complete"}
_CACHE = {"ttlMs": 0, "cacheScope": "private"}
_INFO = {"name": "Cheap server", "version": "1"}
_SERVER = {"io.modelcontextprotocol/serverInfo": _INFO}
_JSON = b"application/json"
_EVENTS = b"text/event-stream"
_HEAD = b"HTTP/1.1 %b\r\nContent-Type: %b\r\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes out; `status` has its reason with it."""

    body: bytes
    status: bytes = b"200 OK"
    content_type: bytes = _JSON
    headers: bytes = b""

    def encoded(self) -> bytes:
        head = _HEAD % (self.status, self.content_type) + self.headers
        return head + b"Content-Length: %d\r\n\r\n%b" % (len(self.body), self.body)


_ABSENT = Reply(b"{}", b"404 Not Found")
_ACCEPTED = Reply(b"", b"202 Accepted")


class Answers:
    """The bodies that go out; of a JSON-RPC answer, what follows its id.

    A tool is called for `delay` seconds.
    """

    def __init__(self, servers: int, tools: int, delay: float = 0.0) -> None:
        self._delay = delay
        self._streams: dict[str, socket.socket] = {}
        lists = [tool_list(server, tools) for server in range(servers)]
        self._lists = [_result(tools=each, **_COMPLETE, **_CACHE) for each in lists]
        self._rest_lists = [json.dumps({"tools": each}).encode() for each in lists]
        content = [{"type": "text", "text": ANSWER}]
        self._call = _result(content=content, isError=False, **_COMPLETE)
        self._executed = json.dumps({"result": ANSWER}).encode()
        self._discover = _result(
            supportedVersions=[VERSION],
            capabilities={"tools": {}},
            _meta=_SERVER,
            **_COMPLETE,
            **_CACHE,
        )

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        """The reply to one request; 404 where there is no such thing here."""
        _, dialect, number, *rest = path.split("/")
        if dialect == "rest":
            if rest == ["execute"]:
                return Reply(self._executed)
            listed = (method, rest) == ("GET", ["tools"])
            return Reply(self._rest_lists[int(number)]) if listed else _ABSENT
        if method != "POST":
            return _ABSENT
        message = json.loads(body)
        if "id" not in message:
            return _ACCEPTED
        if message["method"] == "tools/call" and self._delay:
            time.sleep(self._delay)
        rpc = self._rpc(message, dialect, 0 if dialect == "messages" else int(number))
        if dialect == "messages":
            self._streams[number].sendall(b"event: message\ndata: %b\n\n" % rpc)
            return _ACCEPTED
        if dialect == "stream":
            return Reply(b"event: message\ndata: %b\n\n" % rpc, content_type=_EVENTS)
        opens = message["method"] == "initialize"
        return Reply(rpc, headers=b"Mcp-Session-Id: cheap\r\n" if opens else b"")

    def open_stream(self, connection: socket.socket) -> None:
        """Make this connection an event stream of 2024-11-05."""
        name = str(connection.fileno())
        self._streams[name] = connection
        head = _HEAD % (b"200 OK", _EVENTS) + b"Connection: close\r\n\r\n"
        connection.sendall(head + b"event: endpoint\ndata: /messages/%b\n\n" % name.encode())

    def _rpc(self, message: dict[str, Any], dialect: str, number: int) -> bytes:
        match message["method"]:
            case "tools/list":
                known = self._lists[number]
            case "tools/call":
                known = self._call
            case "initialize":
                version = "2024-11-05" if dialect == "messages" else dialect
                known = _result(protocolVersion=version, capabilities={}, serverInfo=_INFO)
            case _:
                known = self._discover
        return b'{"jsonrpc":"2.0","id":%d,%b' % (message["id"], known)


def _result(**result: Any) -> bytes:
    return b'"result":%b}' % json.dumps(result).encode()


def serve(connection: socket.socket, answers: Answers) -> None:
    """Answer one connection's requests until its client leaves."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    with connection:
        while True:
            while (end := received.find(b"\r\n\r\n")) < 0:
                if not (piece := connection.recv(65_536)):
                    return
                received += piece
            head, received = received[:end].decode("latin-1").split("\r\n"), received[end + 4 :]
            length = _length(head)
            while len(received) < length:
                received += connection.recv(65_536)
            body, received = received[:length], received[length:]
            method, path, _ = head[0].split(" ")
            if method == "GET" and path.startswith("/sse/"):
                answers.open_stream(connection)
            else:
                connection.sendall(answers.answer(method, path, body).encoded())


def _length(head: list[str]) -> int:
    for line in head:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--tools", type=int, default=20)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that a tool takes")
    chosen = parser.parse_args()
    answers = Answers(chosen.servers, chosen.tools, chosen.delay)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(f"READY http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, answers), daemon=True).start()


if __name__ == "__main__":
    main()
