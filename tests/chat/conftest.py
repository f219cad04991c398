"""A person, a scripted model, and servers whose tools are really synced."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from automate.models import MCPServer
from automate.sync import sync_server
from chat.engine import run_turn
from chat.executors import stop_executor
from chat.models import Turn
from chat.submission import send_message
from chat.wake_ups import wake_ups
from tests.servers.redis import BINARY, RedisServer
from tests.servers.scripted_model import Script, ScriptedModel

if TYPE_CHECKING:
    from tests.servers.mcp_sdk import Offer, SDKServer


@pytest.fixture(autouse=True)
def _no_work_goes_on() -> Iterator[None]:
    """What a page of one test set to work must not meet the rows of the next."""
    yield
    stop_executor()


@pytest.fixture(scope="session", autouse=True)
def _nobody_is_heard(django_db_setup: None) -> Iterator[None]:
    """A connection that listens must not keep the test database from being dropped."""
    yield
    wake_ups.close()


@pytest.fixture
def user(db: None) -> Any:
    return get_user_model().objects.create_user("ann", password="password")


@pytest.fixture
def model(settings: Any) -> Iterator[Callable[..., ScriptedModel]]:
    """Let the site's model answer by a script: `model([calls(…), text(…)], MAX_ROUNDS=2)`."""
    with ExitStack() as running:

        def start(script: Script, **automate: Any) -> ScriptedModel:
            server = running.enter_context(ScriptedModel(script))
            settings.AUTOMATE = {
                "MODELS": {"default": {"MODEL": "scripted", "BASE_URL": server.base_url}},
                "MCP_PRIVATE_HOSTS": ("127.0.0.1",),
                "APPROVAL_DEFAULT": "allow",
                **automate,
            }
            return server

        yield start


@pytest.fixture
def shop(sdk_server: "Callable[..., SDKServer]") -> "Callable[..., SDKServer]":
    """Register and sync a server: `shop(Offer("search", …))` makes the function `shop__search`."""

    def register(*offers: "Offer", **options: Any) -> "SDKServer":
        server = sdk_server(*offers, **options)
        row = MCPServer.objects.create(name="Shop", slug="shop", endpoint_url=server.url)
        assert not sync_server(row).error
        server.requests.clear()
        return server

    return register


@pytest.fixture
def ask(user: Any, executor: "HeldExecutor") -> Callable[..., Turn]:
    """Send a message without letting a turn run: `ask("Hello", conversation=…)`."""

    def send(text: str = "Hello", conversation: Any = None) -> Turn:
        return send_message(user, conversation, text, uuid4())

    return send


@pytest.fixture
def started() -> Iterator[Callable[[Turn], threading.Thread]]:
    """Run a turn in a thread, as an executor does."""
    threads: list[threading.Thread] = []

    def run(turn_id: Any) -> None:
        try:
            run_turn(turn_id)
        finally:
            connection.close()

    def start(turn: Turn) -> threading.Thread:
        threads.append(threading.Thread(target=run, args=(turn.pk,)))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


class HeldExecutor:
    """Takes turns and leaves them to the test."""

    def __init__(self) -> None:
        self.turn_ids: list[Any] = []

    def start(self) -> None:
        pass

    def submit(self, turn_id: Any) -> None:
        self.turn_ids.append(turn_id)

    def stop(self) -> None:
        pass


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> HeldExecutor:
    held = HeldExecutor()
    for user in ("queueing", "views.conversations", "streams", "api.door"):
        monkeypatch.setattr(f"chat.{user}.executor", lambda: held)
    return held


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    if BINARY is None:
        pytest.skip("redis-server is not installed")
    with RedisServer() as server:
        yield server


@pytest.fixture(params=["redis", *(["postgres"] if connection.vendor == "postgresql" else [])])
def carried(request: pytest.FixtureRequest, settings: Any) -> str:
    """Each way that carries wake-ups to other processes, set for this site."""
    way: str = request.param
    url = request.getfixturevalue("redis_server").url if way == "redis" else ""
    settings.AUTOMATE = {**settings.AUTOMATE, "WAKE_UPS": way, "REDIS_URL": url}
    return way
