"""What the documents say is so."""

import re
from dataclasses import MISSING, fields
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command, get_commands, load_command_class

from automate.conf import Settings

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/*.md")])
COMMANDS = {**get_commands(), "run_huey": "huey.contrib.djhuey"}
SETTINGS = (ROOT / "docs/settings.md").read_text()


@pytest.mark.parametrize("setting", fields(Settings), ids=lambda setting: setting.name)
def test_every_setting_has_a_heading_and_its_default(setting: Any) -> None:
    section = SETTINGS.split(f"\n## {setting.name}\n", 1)[1].split("\n## ", 1)[0]

    if setting.default is MISSING or setting.name == "SYSTEM_PROMPT":
        assert "Default: " in section
    else:
        shown = re.search(r"Default: `([^`]*)`", section)
        assert shown is not None
        assert eval(shown[1]) == setting.default


def test_every_heading_in_capitals_is_a_setting() -> None:
    headings = set(re.findall(r"^## ([A-Z_]+)$", SETTINGS, re.MULTILINE))

    assert headings == {setting.name for setting in fields(Settings)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())

    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_and_option_exists(document: Path) -> None:
    for name, options in re.findall(r"manage\.py (\w+)((?: --[\w-]+)*)", document.read_text()):
        command = load_command_class(COMMANDS.get(name, ""), name)
        known = command.create_parser("manage.py", name).format_help()
        assert [option for option in options.split() if option not in known] == []


def test_the_readmes_python_is_python() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)

    for block in blocks:
        compile(block, "README.md", "exec")
    assert len(blocks) == 3


@pytest.mark.django_db
def test_the_readmes_registration_by_code_works(rest_server: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "token-of-the-shop")
    stock = {"name": "check_stock", "description": "", "inputSchema": {"type": "object"}}
    server = rest_server([stock], lambda tool, arguments: {"MUG-BLUE": 7})
    readme = (ROOT / "README.md").read_text().replace("https://mcp.example.com/mcp", server.url)
    _settings, by_code, client = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    names: dict[str, Any] = {}

    exec(by_code + client, names)

    assert names["report"].added
    assert names["stock"] == {"MUG-BLUE": 7}


@pytest.mark.django_db
@pytest.mark.parametrize("command", ["check", "migrate", "sync_mcp_tools"])
def test_the_readmes_commands_run(command: str) -> None:
    call_command(command, stdout=StringIO())
