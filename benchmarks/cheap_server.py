"""MCP servers that cost next to nothing, in a child process: every answer is made beforehand.

`/mcp/<n>` speaks MCP 2026-07-28 with JSON answers, `/rest/<n>` the simple HTTP dialect.
"""

import argparse
import json
import socket
import threading
from typing import Any

from .tools import ANSWER, tool_list

VERSION = "2026-07-28"
_COMPLETE = {"resultType": "complete"}
_CACHE = {"ttlMs": 0, "cacheScope": "private"}
_SERVER = {"io.modelcontextprotocol/serverInfo": {"name": "Cheap server", "version": "1"}}


class Answers:
    """The bodies that go out; of a JSON-RPC answer, what follows its id."""

    def __init__(self, servers: int, tools: int) -> None:
        lists = [tool_list(server, tools) for server in range(servers)]
        self._lists = [_result(tools=each, **_COMPLETE, **_CACHE) for each in lists]
        self._rest_lists = [json.dumps({"tools": each}).encode() for each in lists]
        content = [{"type": "text", "text": ANSWER}]
        self._call = _result(content=content, isError=False, **_COMPLETE)
        self._discover = _result(
            supportedVersions=[VERSION],
            capabilities={"tools": {}},
            _meta=_SERVER,
            **_COMPLETE,
            **_CACHE,
        )

    def answer(self, method: str, path: str, body: bytes) -> bytes | None:
        """The body for one request; nothing where there is no such thing here."""
        _, dialect, number, *rest = path.split("/")
        if dialect == "rest":
            return self._rest_lists[int(number)] if (method, rest) == ("GET", ["tools"]) else None
        message = json.loads(body)
        wanted = message["method"]
        if wanted == "tools/list":
            known = self._lists[int(number)]
        else:
            known = self._call if wanted == "tools/call" else self._discover
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
            _send(connection, answers.answer(method, path, body))


def _length(head: list[str]) -> int:
    for line in head:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    return 0


def _send(connection: socket.socket, body: bytes | None) -> None:
    status = b"404 Not Found" if body is None else b"200 OK"
    body = body or b"{}"
    connection.sendall(
        b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (status, len(body), body)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--tools", type=int, default=20)
    chosen = parser.parse_args()
    answers = Answers(chosen.servers, chosen.tools)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(f"READY http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, answers), daemon=True).start()


if __name__ == "__main__":
    main()
