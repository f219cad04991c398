"""A model server that says what a script tells it to, in OpenAI's wire format over real HTTP.

    with ScriptedModel([calls(("shop_search", {"query": "mug"})), text("There are 7.")]) as model:
        ...  # a client of model.base_url
        assert model.requests[0].tool_names == ["shop_search"]

A script is a list with one reply for each request, one reply for every request, or a function
from a request to its reply. As a child process, which prints `READY <base url>` once it listens:
`python -m tests.servers.scripted_model --script three_calls`.
"""

import argparse
import itertools
import json
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import TracebackType
from typing import Any, Self

_call_numbers = itertools.count(1)
_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Reply:
    """What goes over the wire for one request: events of a stream, or one plain body."""

    events: tuple[bytes, ...] = ()
    status: int = 200
    content_type: str = "text/event-stream"
    headers: tuple[tuple[str, str], ...] = ()
    held_by: threading.Event | None = None
    pace: threading.Semaphore | None = None
    delay: float = 0.0
    drop: bool = False

    def held(self, event: threading.Event) -> Self:
        """Send nothing, not even the status line, until `event` is set."""
        return replace(self, held_by=event)

    def paced(self, permits: threading.Semaphore) -> Self:
        """Take one permit before each event: `permits.release()` lets the next one out."""
        return replace(self, pace=permits)

    def delayed(self, seconds: float) -> Self:
        """Wait so long before each event; for benchmarks only."""
        return replace(self, delay=seconds)

    def drop_after(self, events: int) -> Self:
        """Cut the connection after so many events, without the end of the HTTP body."""
        return replace(self, events=self.events[:events], drop=True)


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    content: bytes

    @cached_property
    def body(self) -> dict[str, Any]:
        """The parsed JSON body; empty where there was none."""
        parsed: dict[str, Any] = json.loads(self.content) if self.content else {}
        return parsed

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation that the client sent."""
        found: list[dict[str, Any]] = self.body.get("messages", [])
        return found

    @property
    def tool_names(self) -> list[str]:
        """The functions that the client offered, in its order."""
        return [tool["function"]["name"] for tool in self.body.get("tools", [])]


Script = Reply | Sequence[Reply] | Callable[[Request], Reply]


def event(data: object) -> bytes:
    """One server-sent event: JSON of `data`, or `data` itself where it is text."""
    content = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return b"data: " + content.encode() + b"\n\n"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None) -> dict[str, Any]:
    """One chunk of a streamed answer with one choice."""
    return _chunk([{"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish}])


def usage_chunk(prompt_tokens: int = 12, completion_tokens: int = 34) -> dict[str, Any]:
    """The last chunk, which has no choice and counts the tokens."""
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
    return {**_chunk([]), "usage": usage}


def text(content: str, *, pieces: int | None = None, finish: str = "stop") -> Reply:
    """An answer of plain text, one event for each word, or cut into `pieces` events."""
    parts = content.split(" ") if pieces is None else _pieces(content, pieces)
    joiner = " " if pieces is None else ""
    deltas = [{"content": part if at == 0 else joiner + part} for at, part in enumerate(parts)]
    return _stream([{"role": "assistant", "content": ""}, *deltas], finish)


def calls(*wanted: tuple[str, object], content: str | None = None) -> Reply:
    """An answer that calls tools: pairs of a name and arguments (text is sent as it is)."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": content}]
    for index, (name, arguments) in enumerate(wanted):
        written = arguments if isinstance(arguments, str) else json.dumps(arguments)
        function = {"name": name, "arguments": ""}
        first = {"index": index, "id": f"call_{next(_call_numbers)}", "type": "function"}
        deltas.append({"tool_calls": [{**first, "function": function}]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": part}}]}
            for part in _pieces(written, -(-len(written) // 8))
        ]
    return _stream(deltas, "tool_calls")


def raw_chunks(chunks: Iterable[object], *, done: bool = True) -> Reply:
    """A stream of these chunks; bytes go over the wire as they are, all else as one event."""
    events = [each if isinstance(each, bytes) else event(each) for each in chunks]
    return Reply((*events, event("[DONE]")) if done else tuple(events))


def status(
    code: int, body: object = "", *, content_type: str = "application/json", **headers: str
) -> Reply:
    """A plain answer with this status; `retry_after="1"` becomes the header `retry-after`."""
    content = body if isinstance(body, str) else json.dumps(body)
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Reply((content.encode(),), code, content_type, named)


def silence(until: threading.Event, then: Reply | None = None) -> Reply:
    """No byte at all until the event is set, then `then` or a cut connection."""
    return (then or Reply(drop=True)).held(until)


def three_calls(arguments: object = None, tokens: int = 30) -> Callable[[Request], Reply]:
    """Three rounds that each call the first tool offered, then a text; keeps no state.

    The round is the number of tool messages after the last message of the user.
    """
    answer = text(_words(tokens))

    def reply(request: Request) -> Reply:
        rounds = 0
        for message in reversed(request.messages):
            if message["role"] == "user":
                break
            rounds += message["role"] == "tool"
        if rounds >= 3 or not request.tool_names:
            return answer
        return calls((request.tool_names[0], arguments or {}))

    return reply


class ScriptedModel:
    """The server: listens on loopback while its `with` block runs, one thread a connection.

    One that is asked many thousand times keeps no requests: they would take all memory, and what
    Python does to tidy it up would hold up every answer for seconds.
    """

    def __init__(self, script: Script = (), *, port: int = 0, keeps_requests: bool = True) -> None:
        self._script = script
        self._port = port
        self._keeps_requests = keeps_requests
        self._count = 0
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
        with self._lock:
            if self._keeps_requests:
                self.requests.append(request)
            self._count += 1
            number = self._count
        self.arrived.release()
        try:
            return self._send(connection, self._reply(request, number))
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

    def _reply(self, request: Request, number: int) -> Reply:
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
        return status(400, {"error": {"message": f"the script has no reply for request {number}"}})

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


def _stream(deltas: list[dict[str, Any]], finish: str) -> Reply:
    written = sum("role" not in delta for delta in deltas)
    return raw_chunks([*map(chunk, deltas), chunk({}, finish), usage_chunk(12, written)])


def _chunk(choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "scripted",
        "system_fingerprint": "fp_scripted",
        "choices": choices,
        "usage": None,
    }


def _pieces(content: str, count: int) -> list[str]:
    size = max(1, -(-len(content) // max(1, count)))
    return [content[at : at + size] for at in range(0, len(content), size)]


def _words(count: int) -> str:
    words = ("seven", "blue", "mugs", "are", "in", "stock", "today,", "and", "more", "come")
    return " ".join(itertools.islice(itertools.cycle(words), count))


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
    answer = text(_words(chosen.tokens))

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
