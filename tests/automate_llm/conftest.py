import pytest

from automate_llm.http import close_pools
from tests.servers.oauth import OAuthServer


@pytest.fixture(autouse=True)
def no_kept_connections():
    """Every test ends with its sockets closed."""
    yield
    close_pools()


@pytest.fixture
def oauth_server():
    """An MCP server and the authorization server that protects it."""
    with OAuthServer() as server:
        yield server
