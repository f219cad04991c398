"""Ends sessions on their servers (2025-11-25, basic/transports, "Session Management")."""

import atexit
from contextlib import suppress

from automate_llm.exceptions import MCPClientError
from automate_llm.exchange import Exchange
from automate_llm.values import Connection

from .http_messages import Endpoint
from .sessions import sessions

SECONDS = 1.0
"""How long saying goodbye may take, to all servers together; those that are left over find out
by themselves."""


def close_sessions(connection: Connection | None = None) -> None:
    """End the sessions of this connection, or all of this process; what fails is left."""
    whole = Exchange(SECONDS)
    for owner, session in sessions.take(connection):
        if not session.id:
            continue
        with suppress(MCPClientError):
            exchange = Exchange(min(SECONDS, whole.remaining()))
            with Endpoint(owner).sent(exchange, "DELETE", session.headers, None) as answer:
                answer.read(0)


atexit.register(close_sessions)
