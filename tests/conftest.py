"""Fixtures for every test: real peers over loopback HTTP, each stopped at the test's end."""

import gc
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.raw import RawServer, Script
from tests.servers.rest import RestServer

if TYPE_CHECKING:
    from tests.servers.mcp_sdk import SDKServer

NO_SKIPS = "AUTOMATE_NO_SKIPS"
"""Set where everything that a test may need is installed: a skip is then a failure."""

# Each process of this run, and each of the hundred that tests start, would compile everything anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than there are cores: tests of servers spend much of their time waiting."""
    return (os.cpu_count() or 1) + 1


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let each process begin to import elsewhere, so that a first run compiles a file but once.

    All of them collect everything. What does not import is told of by the collection.
    """
    worker = getattr(session.config, "workerinput", None)
    paths = session.config.getini("testpaths")
    if worker is None or session.config.args != paths:
        return
    root = session.config.rootpath
    files = [file for path in paths for file in sorted((root / path).glob("test_*.py"))]
    mine = int(worker["workerid"].removeprefix("gw")) * len(files) // worker["workercount"]
    for file in files[mine:] + files[:mine]:
        # Only to have them imported early; collecting them raises whatever it is again.
        with suppress(Exception, pytest.skip.Exception):
            import_module(".".join(file.relative_to(root).with_suffix("").parts))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let the garbage collector leave alone what stays: half a million objects by now.

    Each whole pass went over all of them, and was due hundreds of times: of the quick suite's time
    6 s, and 18 s of the processors'. What is new is looked at as often as ever; raised thresholds
    would leave it to be finalized within some later test, and deep in its recursion.
    """
    gc.collect()
    gc.freeze()
    first, second, _ = gc.get_threshold()
    gc.set_threshold(first, second, 50)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get(NO_SKIPS):
        report.outcome = "failed"
        report.longrepr = f"{NO_SKIPS} is set, and this was skipped: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _no_connection_is_left() -> Iterator[None]:
    yield
    from automate_llm.http import close_pools
    from automate_llm.providers.openai import close_providers

    close_pools()
    close_providers()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The test database, dropped although threads that serve all turns keep their connections."""
    from django.db import connection

    from tests.quick_flush.management.commands.flush import MADE_BY_MIGRATE, at_start

    with django_db_blocker.unblock():
        # None is made where no test of the run asks for one.
        if set(MADE_BY_MIGRATE) <= set(connection.introspection.table_names()):
            at_start(connection.alias)
    yield
    from chat.wake_ups import wake_ups

    wake_ups.close()
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture
def sdk_server() -> Iterator[Callable[..., "SDKServer"]]:
    """Start MCP servers on the official SDK: `sdk_server(Offer(…), token=…)`."""
    # Importing the SDK takes a second that only the tests with such a server should pay.
    from tests.servers.mcp_sdk import SDKServer

    with ExitStack() as running:
        yield lambda *tools, **options: running.enter_context(SDKServer(*tools, **options))


@pytest.fixture
def rest_server() -> Iterator[Callable[..., RestServer]]:
    """Start servers of the simple HTTP dialect: `rest_server(tools, handle, api_key=…)`."""
    with ExitStack() as running:
        yield lambda *parts, **options: running.enter_context(RestServer(*parts, **options))


@pytest.fixture
def raw_server() -> Iterator[Callable[[Script], RawServer]]:
    """Start peers that speak raw bytes: `raw_server(script)`."""
    with ExitStack() as running:
        yield lambda script: running.enter_context(RawServer(script))
