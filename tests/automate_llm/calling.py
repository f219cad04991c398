"""Ways to call servers, and to answer calls as servers do."""

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from automate_llm.cancellation import Cancellation
from automate_llm.exceptions import MCPClientError
from automate_llm.mcp_client import MCPClient
from automate_llm.values import Connection
from tests.servers.raw import RawConnection, Script
from tests.servers.recording import Seen

MODERN = "2026-07-28"
SECRET = "t0ken-that-nobody-may-see"

_numbers = itertools.count()


def to(server: Any, **changes: Any) -> Connection:
    """A connection to a test's server, with pool, session and breaker of its own."""
    settings = {"timeout": 5.0, "private_hosts": None, **changes}
    return Connection(
        f"server-{next(_numbers)}", settings.pop("url", None) or server.url, **settings
    )


def settled(server: Any, **changes: Any) -> Connection:
    """A connection whose calls are one request each, as after a sync with a modern server."""
    return to(server, **{"protocol": "mcp", "protocol_version": MODERN, **changes})


def known(connection: Connection) -> Connection:
    """The connection as a sync leaves it: protocol and version settled."""
    found = MCPClient(connection).discover()
    return replace(connection, protocol=found.protocol, protocol_version=found.protocol_version)


def call(connection: Connection, **options: Any) -> Any:
    return MCPClient(connection).call("tool", {}, **options)


def failure(connection: Connection, **options: Any) -> MCPClientError:
    """The error that a call ends with."""
    try:
        result = call(connection, **options)
    except MCPClientError as exc:
        return exc
    raise AssertionError(f"no error, but {result}")


def answer_to(seen: Seen, text: str = "fine", **result: Any) -> dict[str, Any]:
    """The JSON-RPC answer to this request."""
    content = {"content": [{"type": "text", "text": text}], **result}
    return {"jsonrpc": "2.0", "id": seen.body["id"], "result": content}


def answering(connection: RawConnection) -> None:
    """The script of a correct server."""
    while True:
        connection.respond(answer_to(connection.read_request()))


def after_request(work: Callable[[RawConnection], object]) -> Script:
    """A script that reads one request and then does this."""

    def script(connection: RawConnection) -> None:
        connection.read_request()
        work(connection)

    return script


def sending(data: bytes) -> Script:
    """A script that sends these bytes for an answer, and then waits."""

    def work(connection: RawConnection) -> None:
        connection.send(data)
        connection.wait_for_end()

    return after_request(work)


class Stopped:
    """Runs something in a thread, and measures how long it goes on after `cancel`."""

    def __init__(self, work: Callable[[Cancellation], object]) -> None:
        self.cancellation = Cancellation()
        self.error: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def cancel(self) -> float:
        began = time.monotonic()
        self.cancellation.cancel()
        self._thread.join(10)
        assert not self._thread.is_alive()
        return time.monotonic() - began

    def _run(self) -> None:
        try:
            self._work(self.cancellation)
        except BaseException as exc:  # the test looks at it, in its own thread
            self.error = exc
