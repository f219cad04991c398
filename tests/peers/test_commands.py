"""Servers that people run as commands: the reference servers for time and for git."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from automate_llm.exceptions import ToolFailed
from automate_llm.mcp_client import MCPClient
from automate_llm.values import Discovery

from .peers import GIT, TIME, Peer

Clients = Callable[[Peer], MCPClient]
Found = Callable[[Peer], Discovery]


@pytest.fixture
def repository(tmp_path: Path) -> str:
    """A repository with one commit and one file that is not in it."""
    git = ("git", "-C", str(tmp_path), "-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    subprocess.run([*git, "init", "--quiet", "--initial-branch=main"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "Open the shop"], check=True)
    (tmp_path / "mug.txt").write_text("blue")
    return str(tmp_path)


@pytest.mark.parametrize(("peer", "tool"), [(TIME, "convert_time"), (GIT, "git_log")], ids=str)
def test_its_version_is_settled_and_its_tools_are_found(
    peer: Peer, tool: str, found: Found
) -> None:
    about = found(peer)

    assert (about.protocol, about.protocol_version) == ("mcp", peer.version)
    assert tool in {each.name for each in about.tools}
    assert about.skipped == ()


def test_the_time_server_converts_a_time(client: Clients) -> None:
    converted = client(TIME).execute_tool(
        "convert_time", {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
    )

    assert "T21:00" in converted["target"]["datetime"]
    assert converted["time_difference"] == "+9.0h"


def test_the_time_server_refuses_an_unknown_zone(client: Clients) -> None:
    with pytest.raises(ToolFailed, match="Invalid timezone"):
        client(TIME).execute_tool("get_current_time", {"timezone": "Nowhere/Land"})


def test_the_git_server_reads_a_repository(client: Clients, repository: str) -> None:
    log = client(GIT).execute_tool("git_log", {"repo_path": repository, "max_count": 1})
    status = client(GIT).execute_tool("git_status", {"repo_path": repository})

    assert "Open the shop" in str(log)
    assert "mug.txt" in str(status)


def test_the_git_server_changes_a_repository_once(client: Clients, repository: str) -> None:
    client(GIT).execute_tool("git_add", {"repo_path": repository, "files": ["mug.txt"]})
    staged = client(GIT).execute_tool("git_diff_staged", {"repo_path": repository})

    assert "+blue" in str(staged)


def test_the_git_server_refuses_what_is_no_repository(client: Clients, tmp_path: Path) -> None:
    with pytest.raises(ToolFailed):
        client(GIT).execute_tool("git_status", {"repo_path": str(tmp_path)})
