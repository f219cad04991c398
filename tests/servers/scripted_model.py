"""A model server that says what a script tells it to, in OpenAI's wire format over real HTTP.

    with ScriptedModel([calls(("shop_search", {"query": "mug"})), text("There are 7.")]) as model:
        ...  # a client of model.base_url
        assert model.requests[0].tool_names == ["shop_search"]

A script is a list with one reply for each request, one reply for every request, or a function
from a request to its reply; `scripted_replies` makes them. As a child process, which prints
`READY <base url>` once it listens: `python -m tests.servers.scripted_model --script three_calls`.
"""

import argparse
import json
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from .scripted_replies import Reply, Request, status, text, three_calls, words

_POLL_SECONDS = 0.01

Script = Reply | Sequence[Reply] | Callable[[Request], Reply]


class ScriptedModel:
    """The server: listens on loopback while its `with` block runs, one thread a connection.

    One that is asked many thousand times keeps no requests: they would take all memory, and what
    Python does to tidy it up would hold up every answer for seconds.
    """

    def __init__(self, script: Script = (), *, port: int = 0, keeps_requests: bool = True) -> None:
        self._script = script
        self._port = port
        self._keeps_requests = keeps_requests
        self._replies: list[Reply] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self.requests: list[Request] = []
        self.connections_made = 0
        self.hung_up = threading.Event()
        """Set once a client left before its reply was complete."""
        self.arrived = threading.Semaphore(0)
        """One permit for each request that came: `assert model.arrived.acquire(timeout=5)`."""
        self.say(script)

    def say(self, script: Script) -> None:
        """Follow this script from the next request on."""
        with self._lock:
            self._script = script
            self._replies = list(script) if isinstance(script, Sequence) else []

    def start(self) -> Self:
        """Listen; the port is known and requests are accepted when this returns."""
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=128)
        self._port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="scripted-model")
        self._acceptor.start()
        return self

    def stop(self) -> None:
        """Close every connection and join every thread."""
        self._closing.set()
        socket.create_connection(("127.0.0.1", self._port)).close()
        self._acceptor.join()
        self._listener.close()
        with self._lock:
            connections = dict(self._connections)
        for connection, thread in connections.items():
            _shut(connection)
            thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """What a client takes as `OPENAI_BASE_URL`."""
        return f"http://127.0.0.1:{self._port}/v1"

    def _accept(self) -> None:
        while not self._closing.is_set():
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                self._connections[connection] = thread
                self.connections_made += 1
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as incoming:
                while not self._closing.is_set():
                    request = _read_request(incoming)
                    if request is None or not self._answer(connection, request):
                        break
        except OSError:
            return
        finally:
            with self._lock:
                self._connections.pop(connection, None)

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        """Answer one request; false where the connection has no further use."""
        if self._keeps_requests:
            with self._lock:
                self.requests.append(request)
        self.arrived.release()
        try:
            return self._send(connection, self._reply(request))
        except OSError:
            self.hung_up.set()
            raise

    def _send(self, connection: socket.socket, reply: Reply) -> bool:
        if reply.held_by is not None and not self._wait(connection, reply.held_by.wait):
            return False
        if reply.drop and not reply.events:
            return False
        connection.sendall(_head(reply))
        if reply.content_type != "text/event-stream":
            connection.sendall(reply.events[0])
            return True
        for each in reply.events:
            if reply.pace is not None and not self._wait(connection, _taking(reply.pace)):
                return False
            if reply.delay:
                time.sleep(reply.delay)
            connection.sendall(b"%x\r\n%b\r\n" % (len(each), each))
        if not reply.drop:
            connection.sendall(b"0\r\n\r\n")
        return not reply.drop

    def _reply(self, request: Request) -> Reply:
        if request.method != "POST" or not request.path.endswith("/chat/completions"):
            return status(404, {"error": {"message": "no such path"}})
        script = self._script
        if isinstance(script, Reply):
            return script
        if callable(script):
            return script(request)
        with self._lock:
            if self._replies:
                return self._replies.pop(0)
        return status(400, {"error": {"message": "the script has no reply left"}})

    def _wait(self, connection: socket.socket, ready: Callable[[float], bool]) -> bool:
        """Wait until `ready`; false where the client left or the server stops first."""
        while not ready(_POLL_SECONDS):
            if self._closing.is_set():
                return False
            readable, _, _ = select.select([connection], [], [], 0)
            if readable and not connection.recv(1, socket.MSG_PEEK):
                self.hung_up.set()
                return False
        return True


def _taking(permits: threading.Semaphore) -> Callable[[float], bool]:
    return lambda seconds: permits.acquire(timeout=seconds)


def _head(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} Scripted", f"content-type: {reply.content_type}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    if reply.content_type == "text/event-stream":
        lines.append("transfer-encoding: chunked")
    else:
        lines.append(f"content-length: {len(reply.events[0])}")
    return "\r\n".join([*lines, "", ""]).encode()


def _read_request(incoming: Any) -> Request | None:
    start = incoming.readline().decode("latin-1").split()
    if len(start) != 3:
        return None
    headers: dict[str, str] = {}
    while line := incoming.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    content = incoming.read(int(headers.get("content-length", 0)))
    return Request(start[0], start[1], headers, content)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def main() -> None:
    parser = argparse.ArgumentParser(description="A scripted model server, until it is ended.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", choices=["text", "three_calls"], default="text")
    parser.add_argument("--arguments", type=json.loads, default={}, help="JSON of each call")
    parser.add_argument("--tokens", type=int, default=30, help="words of the text")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each event")
    chosen = parser.parse_args()
    script = three_calls(chosen.arguments, chosen.tokens)
    answer = text(words(chosen.tokens))

    def reply(request: Request) -> Reply:
        said = answer if chosen.script == "text" else script(request)
        return said.delayed(chosen.delay)

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with ScriptedModel(reply, port=chosen.port, keeps_requests=False) as model:
        print(f"READY {model.base_url}", flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
