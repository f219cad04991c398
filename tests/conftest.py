"""Fixtures for every test: real peers over loopback HTTP, each stopped at the test's end."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.servers.raw import RawServer, Script
from tests.servers.rest import RestServer

if TYPE_CHECKING:
    from tests.servers.mcp_sdk import SDKServer


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
