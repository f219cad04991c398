"""Servers that run as commands: named by the settings, referred to by rows."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client, override_settings

from automate.checks import check_settings
from automate.models import MCPServer
from automate.sync import sync_server
from automate.validators import validate_endpoint_url
from automate_llm.exceptions import MCPClientError, SecretUnavailable
from automate_llm.mcp_client import MCPClient
from automate_llm.processes import end_all_processes

from .making import add_server
from .test_probing import found

COMMAND = [sys.executable, "-S", str(Path(__file__).parent.parent / "servers/stdio_raw.py")]
TOKEN = "t0ken-of-the-command"


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    end_all_processes()


def naming(**servers: Any) -> Any:
    """Settings with these commands."""
    return override_settings(
        AUTOMATE={"MODELS": {"default": {"MODEL": "m"}}, "STDIO_SERVERS": servers}
    )


@pytest.mark.django_db
def test_a_command_is_synced_called_and_settled_like_any_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COMMAND_TOKEN", TOKEN)
    server = add_server(url="stdio:shop")
    with naming(shop={"command": COMMAND, "env": {"TOKEN": "env:COMMAND_TOKEN"}}):
        report = sync_server(server)
        shown = MCPClient(server).execute_tool("token", {})

    assert (report.added, report.error) == (["pid"], "")
    assert (server.settled_protocol, server.protocol_version) == ("mcp", "2025-06-18")
    assert shown == "[redacted]"


@pytest.mark.django_db
def test_a_command_is_tried_before_its_server_is_stored(admin_client: Client) -> None:
    # What the page hides for a command counts for nothing.
    typed = {"endpoint_url": "stdio:shop", "auth_type": "bearer", "protocol": "rest"}
    with naming(shop={"command": COMMAND}):
        said = found(admin_client, **typed)

    assert "It speaks MCP, version 2025-06-18." in said
    assert "It lists 1 tool. pid" in said
    assert not MCPServer.objects.exists()


@pytest.mark.django_db
def test_a_row_alone_runs_nothing() -> None:
    server = add_server(url="stdio:shop")
    with naming(), pytest.raises(MCPClientError, match="has no 'shop'"):
        server.connection()


def test_an_address_may_name_only_a_command_that_the_settings_have() -> None:
    with naming(shop={"command": COMMAND}):
        validate_endpoint_url("stdio:shop")
        for address in ("stdio:", "stdio:other", "stdio:shop/x", "stdio:/bin/sh", "STDIO:shop"):
            with pytest.raises(ValidationError):
                validate_endpoint_url(address)


@pytest.mark.django_db
def test_the_environments_references_become_values_and_show_in_no_repr(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COMMAND_TOKEN", TOKEN)
    (tmp_path / "key").write_text("key-in-a-file\n")
    env = {"A": "env:COMMAND_TOKEN", "B": f"file:{tmp_path}/key", "C": "plain-as-it-is", "D": ""}
    with naming(shop={"command": COMMAND, "env": env, "cwd": str(tmp_path)}):
        connection = add_server(url="stdio:shop").connection()

    assert connection.command is not None
    assert connection.command.arguments == tuple(COMMAND)
    assert connection.command.cwd == str(tmp_path)
    assert connection.command.env == {
        "A": TOKEN,
        "B": "key-in-a-file",
        "C": "plain-as-it-is",
        "D": "",
    }
    assert connection.secrets == (TOKEN, "key-in-a-file")
    assert TOKEN not in repr(connection)


@pytest.mark.django_db
def test_a_missing_secret_is_named_and_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMMAND_TOKEN", raising=False)
    server = add_server(url="stdio:shop")
    settings = naming(shop={"command": COMMAND, "env": {"TOKEN": "env:COMMAND_TOKEN"}})

    with settings, pytest.raises(SecretUnavailable, match="'COMMAND_TOKEN'"):
        server.connection()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ({}, "command"),
        ({"command": []}, "command"),
        ({"command": "mcp-server --root /"}, "command"),
        ({"command": ["a", 5]}, "command"),
        ({"command": ["a\0"]}, "command"),
        ({"command": ["a"], "env": ["A=1"]}, "env"),
        ({"command": ["a"], "env": {"A": 1}}, "env"),
        ({"command": ["a"], "env": {"A=B": "1"}}, "env"),
        ({"command": ["a"], "cwd": "\0"}, "cwd"),
        ({"command": ["a"], "shell": True}, "shell"),
    ],
)
def test_an_entry_that_cannot_be_started_is_an_error_and_is_not_tried(
    entry: dict[str, Any], word: str
) -> None:
    server = add_server(url="stdio:shop")
    with naming(shop=entry):
        [error] = check_settings()
        with pytest.raises(MCPClientError) as caught:
            server.connection()

    assert (error.id, word in error.msg) == ("automate.E007", True)
    assert word in str(caught.value)


def test_a_name_that_no_address_can_hold_is_an_error() -> None:
    with naming(**{"my shop": {"command": ["a"]}}):
        [error] = check_settings()

    assert error.id == "automate.E007"
