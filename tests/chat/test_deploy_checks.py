"""What `manage.py check --deploy` says of servers, tools and workers."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.checks import run_checks
from django.db import connection
from django.test import override_settings

from automate.models import MCPServer, MCPTool
from automate.reviewing import Decision, decide
from chat.models import Worker

pytestmark = pytest.mark.django_db

PROJECT = Path(__file__).resolve().parents[2]
GOOD = {"MODELS": {"default": {"MODEL": "m"}}, "SECRET_REFERENCES": ("env:MCP_*",)}


def said(**automate: Any) -> list[tuple[str, str]]:
    with override_settings(AUTOMATE={**GOOD, **automate}):
        found = run_checks(include_deployment_checks=True)
    ours = [each for each in found if str(each.id).startswith("automate")]
    return [(str(each.id), each.msg) for each in ours]


def ids(**automate: Any) -> list[str]:
    return sorted(each for each, _words in said(**automate))


def add_server(url: str, **fields: Any) -> MCPServer:
    return MCPServer.objects.create(name="Shop", slug="shop", endpoint_url=url, **fields)


def test_a_site_without_servers_is_not_spoken_of() -> None:
    assert said() == []


@pytest.mark.parametrize(
    ("url", "hosts", "expected"),
    [
        ("https://mcp.example.com/mcp", (), []),
        ("http://mcp.example.com/mcp", (), ["automate.W011"]),
        ("http://127.0.0.1:8000/mcp", ("127.0.0.1:8000",), []),
        ("http://127.0.0.1:8000/mcp", (), ["automate.W012"]),
        ("http://[::1]:8000/mcp", ("[::1]:8000",), []),
        ("https://10.0.0.7/mcp", ("10.0.0.7:443",), []),
        ("https://10.0.0.7/mcp", ("10.0.0.7",), ["automate.W014"]),
        ("https://mcp.example.com/mcp", ("10.0.0.7:443",), ["automate.W013"]),
        ("stdio:shop", (), []),
    ],
)
def test_addresses(url: str, hosts: tuple[str, ...], expected: list[str]) -> None:
    add_server(url)
    assert ids(MCP_PRIVATE_HOSTS=hosts) == expected


@pytest.mark.parametrize("wide", ["*", "env:*", "env:?*", "file:*", "file:/*"])
def test_references_to_any_secret_are_spoken_of_where_there_are_servers(wide: str) -> None:
    assert ids(SECRET_REFERENCES=("env:MCP_*", wide)) == []
    add_server("https://mcp.example.com/mcp")

    [(found, words)] = said(SECRET_REFERENCES=("env:MCP_*", wide))

    assert found == "automate.W016" and repr(wide) in words and "env:MCP_*" not in words


def test_a_server_that_is_off_has_only_its_secret_spoken_of() -> None:
    add_server("http://mcp.example.com/", enabled=False, auth_type="bearer", auth_secret_ref="t0p")
    [(found, words)] = said()
    assert found == "automate.W010" and "'shop'" in words and "t0p" not in words


def test_tools_that_nobody_has_reviewed_are_named() -> None:
    server = add_server("https://mcp.example.com/")
    for name in "abcdefg":
        MCPTool.objects.create(server=server, name=name)
    [(found, words)] = said()
    assert (
        found == "automate.W015"
        and "7 in all: shop__a, shop__b, shop__c, shop__d, shop__e, …" in words
    )

    decide(dict(MCPTool.objects.values_list("pk", "version")), Decision.APPROVED, None)

    assert ids() == []


def test_workers(settings: Any) -> None:
    remote = {"EXECUTOR": "celery"}
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:6379/0"
    file = ["automate_chat.W010"] if connection.vendor == "sqlite" else []
    assert [each for each in ids(**remote) if "W" in each] == [*file, "automate_chat.W011"]
    Worker.objects.beat(uuid4(), name="one:1", executor="celery", running=0)
    assert [each for each in ids(**remote) if "W" in each] == file
    assert ids() == []
    Worker.objects.beat(uuid4(), name="two:1", executor="thread", running=0)
    assert ids() == file


def test_without_tables_nothing_is_said_of_their_rows(tmp_path: Path) -> None:
    empty = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}"}
    command = [sys.executable, "manage.py", "check", "--deploy"]
    checked = subprocess.run(
        command, cwd=PROJECT, env=empty, capture_output=True, text=True, timeout=60
    )
    assert (checked.returncode, "Traceback" in checked.stderr) == (0, False), checked.stderr
    assert "security.W" in checked.stderr
    assert not re.search(r"automate(_chat)?\.W01", checked.stderr)
