"""A Django project of somebody else, with the apps added as the README says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

VISIT = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
import django
django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
call_command("check", fail_level="WARNING", databases=["default"])
visitor = Client(SERVER_NAME="localhost")
print(visitor.get("/chat/").headers["Location"])
visitor.force_login(get_user_model().objects.create_superuser("ann"))
for address in ["/chat/", "/mcp/accounts/", "/admin/automate/mcpserver/add/"]:
    print(address, visitor.get(address).status_code)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What `startproject` makes, and behind it the README's lines as they stand there."""
    run(tmp_path, "-m", "django", "startproject", "mysite", ".")
    readme = (ROOT / "README.md").read_text()
    block = re.findall(r"```python\n(# settings\.py\n.*?)```", readme, re.DOTALL)[0]
    settings, urls = block.split("# urls.py\n")
    settings += 'LOGIN_URL = "/admin/login/"\n'
    added(tmp_path / "mysite/settings.py", settings, ["INSTALLED_APPS", "MIDDLEWARE"])
    added(tmp_path / "mysite/urls.py", f"from django.urls import include\n{urls}", ["urlpatterns"])
    return tmp_path


def added(file: Path, lines: str, lists: list[str]) -> None:
    """Append lines in which the dots of these lists stand for what was there."""
    before = "".join(f"_{name} = {name}\n" for name in lists)
    after = "".join(f"{name} = _{name} + {name}\n" for name in lists)
    file.write_text(f"{file.read_text()}\n{before}{lines}{after}")


def run(directory: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env={"PYTHONPATH": f"{ROOT}:.", "PATH": "", "OPENAI_API_KEY": "sk-none"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_it_migrates_checks_clean_and_shows_the_chat(project: Path) -> None:
    assert run(project, "-c", VISIT).splitlines() == [
        "System check identified no issues (0 silenced).",
        "/admin/login/?next=/chat/",
        "/chat/ 200",
        "/mcp/accounts/ 200",
        "/admin/automate/mcpserver/add/ 200",
    ]
