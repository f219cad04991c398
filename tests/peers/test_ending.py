"""What ran as a command is gone when the process that called it has ended."""

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from .installation import PeerMissing
from .peers import ALL, Peer

ROOT = Path(__file__).parents[2]
CALLER = """
import sys
from automate_llm.mcp_client import MCPClient
from automate_llm.values import Connection, StdioCommand

command = StdioCommand(tuple(sys.argv[2:]), env={"PEER_MARK": sys.argv[1]})
client = MCPClient(Connection("peer", "stdio:peer", command=command))
print(len(client.discover_tools()), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("peer", [peer for peer in ALL if peer.transport == "stdio"], ids=str)
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
def test_no_process_is_left(peer: Peer) -> None:
    try:
        command = peer.command()
    except PeerMissing as exc:
        pytest.skip(str(exc))
    mark = str(uuid4())

    with subprocess.Popen(
        [sys.executable, "-c", CALLER, mark, *command],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as caller:
        assert caller.stdin is not None and caller.stdout is not None
        assert int(caller.stdout.readline()) > 1
        assert _marked(mark)
        caller.stdin.close()

    assert caller.returncode == 0
    assert _marked(mark) == []


def _marked(mark: str) -> list[str]:
    """The commands of the processes whose environment holds the mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"PEER_MARK={mark}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found
