"""Ends sessions on their servers (2025-11-25, basic/transports, "Session Management")."""

import atexit
from contextlib import suppress

from automate_llm.exceptions import MCPClientError
from automate_llm.exchange import Exchange
from automate_llm.values import Connection

from .http_messages import Endpoint
from .sessions import Session, sessions

SECONDS = 1.0
"""How long saying goodbye may take, to all servers together; those that are left over find out
by themselves."""


def close_sessions(connection: Connection | None = None) -> None:
    """End the sessions of this connection, or all of this process; what fails is left."""
    _end(sessions.take(connection))


def _end(open_sessions: list[tuple[Connection, Session]]) -> None:
    whole = Exchange(SECONDS)
    for owner, session in open_sessions:
        if session.id:
            with suppress(MCPClientError):
                exchange = Exchange(whole.remaining())
                with Endpoint(owner).sent(exchange, "DELETE", session.headers, None) as answer:
                    answer.close()


def _at_exit() -> None:
    # What gives out tokens may need a database, which is no more to be touched.
    _end([kept for kept in sessions.take() if kept[0].authenticator is None])


atexit.register(_at_exit)
