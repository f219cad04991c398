"""Each peer is started once, when the first test asks for it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from automate_llm.mcp_client import MCPClient
from automate_llm.processes import end_all_processes
from automate_llm.values import Connection, Discovery

from .installation import PeerMissing
from .peers import Peer
from .running import running

Reach = Callable[[Peer], Connection]


@pytest.fixture(scope="session")
def reach() -> Iterator[Reach]:
    """A connection to a peer that runs until the session ends; skips where it is not installed."""
    connections: dict[Peer, Connection] = {}

    with ExitStack() as started:
        started.callback(end_all_processes)

        def connection(peer: Peer) -> Connection:
            if peer not in connections:
                try:
                    connections[peer] = started.enter_context(running(peer))
                except PeerMissing as exc:
                    pytest.skip(str(exc))
            return connections[peer]

        yield connection


@pytest.fixture(scope="session")
def found(reach: Reach) -> Callable[[Peer], Discovery]:
    """What a peer says of itself, asked once."""
    discoveries: dict[Peer, Discovery] = {}

    def discovery(peer: Peer) -> Discovery:
        if peer not in discoveries:
            discoveries[peer] = MCPClient(reach(peer)).discover()
        return discoveries[peer]

    return discovery


@pytest.fixture
def client(reach: Reach, found: Callable[[Peer], Discovery]) -> Callable[[Peer], MCPClient]:
    """A client that knows what a sync stored, as a chat's calls do."""

    def settled(peer: Peer) -> MCPClient:
        about = found(peer)
        return MCPClient(
            replace(reach(peer), protocol=about.protocol, protocol_version=about.protocol_version)
        )

    return settled
