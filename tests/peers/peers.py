"""The servers by name: what starts each one, and which protocol version it settles on."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .installation import node_script, program

SERVERS = Path(__file__).parent / "servers"

Transport = Literal["http", "sse", "stdio"]


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that somebody else wrote; `command` raises `PeerMissing` where it is not there."""

    name: str
    transport: Transport
    version: str
    command: Callable[[], tuple[str, ...]]
    structured: bool = True
    """Whether its SDK knows structured results at all."""
    progress: bool = True
    """Whether its answers leave room for progress; a single JSON document does not."""
    path: str = "mcp"

    def __str__(self) -> str:
        return self.name


def _sdk2(name: str, transport: Transport, version: str, *modes: str) -> Peer:
    command = (sys.executable, str(SERVERS / "on_sdk2.py"), transport, *modes)
    return Peer(name, transport, version, lambda: command, progress="--json" not in modes)


def _sdk1(release: str, transport: Transport, version: str, *modes: str) -> Peer:
    def command() -> tuple[str, ...]:
        python = program(f"sdk-{release}", "python")
        return (python, str(SERVERS / "on_sdk1.py"), transport, *modes)

    over_old_http = transport == "http" and release in ("1.9", "1.10")
    return Peer(
        "-".join([f"sdk-{release}", transport, *(mode.strip("-") for mode in modes)]),
        transport,
        version,
        command,
        structured=release not in ("1.6", "1.9"),
        # Over HTTP these releases send progress on a stream of its own, which nobody asked for.
        progress="--json" not in modes and not over_old_http,
        path="mcp/" if over_old_http else "mcp",
    )


def _fastmcp(
    transport: Transport, version: str, *modes: str, release: str = "4.2", name: str = "fastmcp"
) -> Peer:
    def command() -> tuple[str, ...]:
        python = program(f"fastmcp-{release}", "python")
        return (python, str(SERVERS / "on_fastmcp.py"), transport, *modes)

    name = "-".join([name, transport, *(mode.strip("-") for mode in modes if mode != "--tasks")])
    return Peer(name, transport, version, command, progress="--json" not in modes)


def _fastmcp_tasks(transport: Transport, *modes: str) -> Peer:
    # The tasks extension's newest release lives with this one of FastMCP's at most.
    modes = ("--tasks", *modes)
    return _fastmcp(transport, "2026-07-28", *modes, release="4.1", name="fastmcp-tasks")


def _everything(transport: Transport, argument: str) -> Peer:
    def command() -> tuple[str, ...]:
        return (
            *node_script("@modelcontextprotocol/server-everything", "dist/index.js"),
            argument,
        )

    return Peer(f"everything-{transport}", transport, "2025-11-25", command)


TOOLBOXES = (
    _sdk2("sdk-2.3-http", "http", "2026-07-28"),
    _sdk2("sdk-2.3-http-json", "http", "2026-07-28", "--json"),
    _sdk2("sdk-2.3-http-stateless", "http", "2026-07-28", "--stateless"),
    _sdk2("sdk-2.3-sse", "sse", "2025-11-25"),
    _sdk2("sdk-2.3-stdio", "stdio", "2026-07-28"),
    _fastmcp("http", "2026-07-28"),
    _fastmcp("http", "2026-07-28", "--json", "--stateless"),
    _fastmcp("sse", "2025-11-25"),
    _fastmcp("stdio", "2026-07-28"),
    _sdk1("1.30", "http", "2025-11-25"),
    _sdk1("1.30", "http", "2025-11-25", "--json"),
    _sdk1("1.30", "http", "2025-11-25", "--stateless"),
    _sdk1("1.30", "sse", "2025-11-25"),
    _sdk1("1.30", "stdio", "2025-11-25"),
    _sdk1("1.10", "http", "2025-06-18"),
    _sdk1("1.10", "sse", "2025-06-18"),
    _sdk1("1.10", "stdio", "2025-06-18"),
    _sdk1("1.9", "http", "2025-03-26"),
    _sdk1("1.9", "stdio", "2025-03-26"),
    _sdk1("1.6", "sse", "2024-11-05"),
    _sdk1("1.6", "stdio", "2024-11-05"),
)
"""The same tools, on every SDK, transport and mode."""

TASKS = (
    _fastmcp_tasks("http"),
    _fastmcp_tasks("http", "--json", "--stateless"),
    _fastmcp_tasks("stdio"),
)

EVERYTHING = (
    _everything("http", "streamableHttp"),
    _everything("sse", "sse"),
    _everything("stdio", "stdio"),
)

TIME = Peer("time-stdio", "stdio", "2026-07-28", lambda: (program("commands", "mcp-server-time"),))
GIT = Peer("git-stdio", "stdio", "2026-07-28", lambda: (program("commands", "mcp-server-git"),))

ALL = (*TOOLBOXES, *TASKS, *EVERYTHING, TIME, GIT)
