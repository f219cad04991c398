"""Syncs that Celery's beat asks for, in a real worker over each broker."""

import subprocess
import sys
from typing import Any

import pytest
from django.utils import timezone

from automate.models import MCPServer, MCPTool

from .deployment import ROOT, Deployment
from .kinds import KINDS, Kind
from .test_killed_workers import ORDER, until

pytestmark = pytest.mark.django_db(transaction=True)

OVER_CELERY = [kind for kind in KINDS if kind.executor == "celery"]


@pytest.mark.parametrize("task", ["automate.sync_due", "automate.sync_all"])
@pytest.mark.parametrize("kind", OVER_CELERY, ids=lambda kind: kind.name)
def test_a_worker_syncs_every_server_though_one_is_broken(
    kind: Kind, task: str, user: Any, rest_server: Any
) -> None:
    if kind.missing:
        pytest.skip(kind.missing)
    shop = rest_server([ORDER], lambda tool, arguments: "ordered")
    for name, url in (("broken", "http://127.0.0.1:9/"), ("shop", shop.url)):
        MCPServer.objects.create(
            name=name, slug=name, endpoint_url=url, protocol="rest", due_at=timezone.now()
        )

    with Deployment(kind, user, web=False) as site:
        site.start_workers()
        subprocess.run(
            [
                *(sys.executable, "-m", "celery", "-A", "config", "call", task),
                "--queue",
                site.queue,
            ],
            cwd=ROOT,
            env=site.environment,
            check=True,
            capture_output=True,
            timeout=60,
        )
        asked = MCPServer.objects.exclude(last_error="")
        until(lambda: asked.exists() and MCPTool.objects.exists())
        site.end_workers()

    assert [server.slug for server in asked] == ["broken"]
    assert MCPTool.objects.get().server.slug == "shop"
    assert MCPServer.objects.get(slug="shop").last_synced is not None
