import pytest

from automate_llm.http import close_pools


@pytest.fixture(autouse=True)
def no_kept_connections():
    """Every test ends with its sockets closed."""
    yield
    close_pools()
