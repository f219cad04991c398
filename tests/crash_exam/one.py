"""Examines one executor on one database.

    python -m tests.crash_exam.one celery-redis postgresql --step 5

prints one line of JSON: how many moments there are, how many turns died at one, and the faults.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.executors.kinds import KINDS, Kind
from tests.servers.rest import RestServer
from tests.servers.scripted_model import ScriptedModel

from .databases import database
from .moments import ORDER, ROLES
from .nursery import Nursery
from .peers import TOOLS, Peers

if TYPE_CHECKING:
    from .examination import Examination


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash_exam.one")
    parser.add_argument("kind", choices=[kind.name for kind in KINDS])
    parser.add_argument("database", choices=["sqlite", "postgresql"])
    parser.add_argument("--step", type=int, default=1, help="one moment of so many")
    parser.add_argument("--role", action="append", choices=ROLES, help="only this one dies")
    options = parser.parse_args()
    kind = next(kind for kind in KINDS if kind.name == options.kind)
    began = time.monotonic()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, name = stack.enter_context(database(options.database, directory))
        examination = stack.enter_context(prepared(kind, directory, url, name))
        result = examination.held(options.step, options.role or ROLES)
    result.seconds = time.monotonic() - began
    print(json.dumps(asdict(result)), flush=True)


@contextmanager
def prepared(kind: Kind, directory: Path, url: str, name: str) -> Iterator["Examination"]:
    """An examination on an empty database, its servers and its processes up."""
    peers = Peers()
    with ScriptedModel(peers.say) as model, RestServer(TOOLS, peers.do) as shop:
        queue = f"automate_exam_{uuid4().hex[:8]}"
        automate = {
            "MODELS": {"default": {"MODEL": "scripted", "BASE_URL": model.base_url}},
            "MCP_PRIVATE_HOSTS": ["127.0.0.1"],
            "APPROVAL_DEFAULT": "allow",
            "EXECUTOR": kind.executor,
            "EXECUTOR_QUEUE": queue if kind.executor == "celery" else "",
            "LEASE_SECONDS": 10.0,
        }
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "tests.executors.settings",
            "DATABASE_URL": url,
            "AUTOMATE_EXECUTOR": kind.executor,
            "TEST_DATABASE": name,
            "TEST_QUEUE": queue,
            "TEST_AUTOMATE": json.dumps(automate),
            "LOG_LEVEL": "CRITICAL",
            ORDER: str(directory / "order.json"),
            **kind.environment,
        }
        person = set_up(shop.url)
        from .examination import Examination  # the apps are loaded only now

        with ExitStack() as stack:
            worker = web = stack.enter_context(Nursery("web", environment=os.environ))
            if kind.worker:
                # Threads in one process, so that a worker dies whole.
                command = [
                    part.format(queue=queue).replace("prefork", "threads")
                    for part in kind.worker[1:]
                    if part != "-m"
                ]
                worker = stack.enter_context(Nursery("worker", *command, environment=os.environ))
            yield Examination(peers, person, web, worker, directory / "order.json")


def set_up(shop_url: str) -> Any:
    """An empty site with one person and one server; paying asks the person first."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    from django.contrib.auth import get_user_model

    from automate.models import MCPServer, MCPTool, ToolRule
    from automate.sync import sync_server

    server = MCPServer.objects.create(
        name="Shop", slug="shop", endpoint_url=shop_url, protocol="rest"
    )
    if error := sync_server(server).error:
        raise RuntimeError(error)
    ToolRule.objects.create(tool=MCPTool.objects.get(name="pay"), decision="ask")
    return get_user_model().objects.create_user("ann")


if __name__ == "__main__":
    main()
