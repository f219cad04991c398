"""Fixtures of the registry: a server that lists what a test says, and its row."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from automate import sync_jobs
from automate.models import MCPServer
from automate_llm.http import close_pools
from tests.servers.oauth import OAuthServer
from tests.servers.rest import RestServer

from .making import add_server, listed


@pytest.fixture
def peer() -> Iterator[RestServer]:
    """A real server of the simple HTTP dialect."""
    with RestServer() as server:
        yield server


@pytest.fixture
def offering(peer: RestServer) -> Callable[..., None]:
    """Say what the peer lists from now on: names, or whole tools."""

    def offer(*tools: Any) -> None:
        peer.tools = [listed(tool) if isinstance(tool, str) else tool for tool in tools]

    return offer


@pytest.fixture
def server(db: None, peer: RestServer) -> MCPServer:
    """The peer's row, never synced."""
    return add_server(url=peer.url)


@pytest.fixture
def oauth_peer() -> Iterator[OAuthServer]:
    """A server behind OAuth, with the authorization server that protects it."""
    with OAuthServer() as server:
        yield server
        close_pools()


@pytest.fixture
def at_once(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> Callable[..., Any]:
    """Do something in the admin, and all that it leaves to the background, before it returns."""

    def submit(jobs: Any) -> None:
        for job in jobs:
            job.run()

    monkeypatch.setattr(sync_jobs.workers, "submit", submit)

    def run(work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            return work(*arguments, **options)

    return run
