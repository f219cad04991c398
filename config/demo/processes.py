"""The demo's processes, started in order and ended together."""

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.core.management.utils import get_random_secret_key

from .children import Child
from .model import EXAMPLES, Model
from .rows import NOT_SYNCED, PASSWORD, SYNCED

PROJECT = EXAMPLES.parent
START_SECONDS = 30.0


@dataclass(frozen=True)
class RunningDemo:
    """A demo that serves at `address`.

    `synced` has a line for each MCP server whose tools are there, `not_synced` one for each
    other. `password` is that of the account `admin`, empty where an earlier start made it.
    """

    site: Child
    address: str
    synced: list[str]
    not_synced: list[str]
    password: str


@contextmanager
def running_demo(directory: Path, model: Model, port: int) -> Iterator[RunningDemo]:
    """Run the model, both MCP servers and the site while the block lasts.

    Data and logs are in `directory`; the site takes the first free port from `port`, 0 any.

    Raises:
        ChildFailed: one of them did not start.
    """
    # New at every start: the servers that take them end with this process.
    keys = {"SHOP_TOKEN": secrets.token_urlsafe(24), "BRANCHES_KEY": secrets.token_urlsafe(24)}
    with ExitStack() as processes:

        def start(name: str, *arguments: str, **environment: str) -> Child:
            return processes.enter_context(
                Child(
                    f"The {name}",
                    arguments,
                    log=directory / f"{name.replace(' ', '-')}.log",
                    environment=environment,
                    directory=PROJECT,
                )
            )

        helper = ("--port", "0", "--exit-with-parent")
        own_model = [start("model", *model.command, *helper)] if model.command else []
        shop = start("shop server", str(EXAMPLES / "shop_server.py"), *helper, **keys)
        branches = start("branches server", str(EXAMPLES / "branches_server.py"), *helper, **keys)
        environment = {**_site_environment(directory), **keys, **model.environment}
        for child in own_model:
            environment["OPENAI_BASE_URL"] = child.address(model.seconds)
        site = start(
            "site",
            *("-m", "config.demo.serve", "--port", str(port)),
            *("--shop", shop.address(START_SECONDS)),
            *("--branches", branches.address(START_SECONDS)),
            **environment,
        )
        address = site.address(START_SECONDS)
        yield RunningDemo(
            site,
            address,
            synced=_said(site, SYNCED),
            not_synced=_said(site, NOT_SYNCED),
            password="".join(_said(site, PASSWORD)),
        )


def _site_environment(directory: Path) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": "",
        "SQLITE_PATH": str(directory / "db.sqlite3"),
        "MEDIA_ROOT": str(directory / "media"),
        "SECRET_KEY": os.environ.get("SECRET_KEY") or _kept_secret_key(directory / "secret-key"),
        "SECURE_COOKIES": "",
    }


def _kept_secret_key(path: Path) -> str:
    """The key of earlier starts, so that a login outlives a restart."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(get_random_secret_key())
    return path.read_text()


def _said(site: Child, beginning: str) -> list[str]:
    return [line.removeprefix(beginning) for line in site.said if line.startswith(beginning)]
