"""Which feature is tested in which protocol version against which real server.

The servers of a feature's own tests are found by collecting those; `python -m tests.peers.table`
prints the table that `docs/mcp.md` holds.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .features import COLUMNS, FEATURES, Feature
from .peers import ALL

ROOT = Path(__file__).parents[2]
OWN = "our test server"
SUITE = "conformance suite"
SOFTWARE = {
    "sdk-2.3": "SDK 2.3",
    "fastmcp": "FastMCP",
    "fastmcp-tasks": "FastMCP 4.1",
    "sdk-1.30": "SDK 1.30",
    "sdk-1.10": "SDK 1.10",
    "sdk-1.9": "SDK 1.9",
    "sdk-1.6": "SDK 1.6",
    "everything": "everything",
    "time": "time",
    "git": "git",
}


Peers = Mapping[str, list[str]]
"""The names of the peers that each test runs with."""


def collected() -> Peers:
    """The names of the peers that each test in this folder runs with."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "--collect-only", "-q", "tests/peers"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return peers_in(done.stdout.splitlines())


def peers_in(node_ids: Iterable[str]) -> Peers:
    """The names of the peers, read off what pytest calls the tests of this folder."""
    peers: dict[str, list[str]] = {}
    for node_id in node_ids:
        if found := re.fullmatch(r"tests/peers/\S+::(\w+)\[([^\]]+)\]", node_id):
            peers.setdefault(found[1], []).append(found[2])
    return peers


def lines(peers: Peers) -> Iterator[str]:
    """The table, as Markdown."""
    yield f"| feature | {' | '.join(COLUMNS)} |"
    yield "|---" * (len(COLUMNS) + 1) + "|"
    for feature in FEATURES:
        cells = [cell(feature, column, peers) for column in COLUMNS]
        yield f"| {feature.name} | {' | '.join(cells)} |"


def cell(feature: Feature, column: str, peers: Peers) -> str:
    """The servers it is tested against in this column, or why there is none."""
    names = {
        name for test in feature.tests for name in peers.get(test, []) if _column_of(name) == column
    }
    names |= {name for test in feature.older.get(column, ()) for name in peers.get(test, [])}
    said = [label for software, label in SOFTWARE.items() if software in _software(names)]
    said += [SUITE] if feature.scenarios.get(column) else []
    said += [OWN] if column in feature.own else []
    said += [feature.words[column]] if column in feature.words else []
    return ", ".join(said)


def _software(names: set[str]) -> set[str]:
    return {re.sub(r"-(http|sse|stdio)\b.*", "", name) for name in names}


def _column_of(name: str) -> str:
    transports = {peer.name: peer for peer in ALL}
    # An id may name more than the peer, as where a tool is given with it.
    peer = transports.get(name) or next(
        peer for known, peer in transports.items() if name.startswith(f"{known}-")
    )
    return {"http": peer.version, "sse": "2024-11-05 SSE", "stdio": "stdio"}[peer.transport]


if __name__ == "__main__":
    print(*lines(collected()), sep="\n")
