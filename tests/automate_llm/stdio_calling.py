"""Ways to call servers on standard streams."""

import itertools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from automate_llm import processes
from automate_llm.exceptions import MCPClientError
from automate_llm.exchange import Exchange
from automate_llm.mcp_client import MCPClient
from automate_llm.processes import Process
from automate_llm.transports.stdio_servers import ready
from automate_llm.values import Connection, StdioCommand

SERVERS = Path(__file__).parent.parent / "servers"
TOKEN = "t0ken-that-nobody-may-see"

_numbers = itertools.count()


def to(command: StdioCommand, **changes: Any) -> Connection:
    """A connection to a process of its own."""
    name = f"stdio:test-{next(_numbers)}"
    return Connection(name[6:], name, **{"timeout": 5.0, "command": command, **changes})


def raw(start: str = "legacy", **changes: Any) -> Connection:
    """A connection to a server that does what its tools' names say."""
    arguments = (sys.executable, "-S", str(SERVERS / "stdio_raw.py"), start)
    env = {"TOKEN": TOKEN, **changes.pop("env", {})}
    return to(StdioCommand(arguments, env, secrets=(TOKEN,)), **changes)


def value(connection: Connection, tool: str, **arguments: Any) -> Any:
    return MCPClient(connection).execute_tool(tool, arguments)


def failure(connection: Connection, tool: str = "pid", **arguments: Any) -> MCPClientError:
    try:
        result = value(connection, tool, **arguments)
    except MCPClientError as exc:
        return exc
    raise AssertionError(f"no error, but {result}")


def within(connection: Connection, seconds: float) -> Connection:
    return replace(connection, timeout=seconds)


def methods(connection: Connection) -> list[str]:
    """What the server has heard so far, but for tool calls."""
    heard = [message.get("method", "an answer") for message in value(connection, "heard")]
    return [method for method in heard if method != "tools/call"]


def process_of(connection: Connection) -> Process:
    """The process that serves this connection."""
    assert connection.command is not None
    exchange = Exchange(5)
    return ready(connection.endpoint_url, connection.command, "", exchange).channel.process


def no_process_is_left() -> Iterator[None]:
    """A module's fixture: what its tests started is gone afterwards."""
    yield
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "END_SECONDS", 0.2)
        processes.end_all_processes()


def until(condition: Callable[[], object]) -> None:
    """Return once the condition holds, which must be soon."""
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
