"""Asks a server for all that it offers. Touches the network and no row but an account's token."""

from dataclasses import dataclass, replace

from automate_llm.exceptions import MCPClientError, ProtocolError, UnexpectedStatus
from automate_llm.mcp_client import MCPClient
from automate_llm.offerings import Offerings
from automate_llm.values import Connection, Discovery, Protocols


@dataclass(frozen=True, slots=True)
class Found:
    """What a server answered; `problem` says why its `offerings` could not be had."""

    discovery: Discovery
    offerings: Offerings | None = None
    problem: str = ""


def ask(connection: Connection, chosen: Protocols, known_digest: str) -> Found:
    """The server's tools, resources and prompts. Only without its tools is there no answer.

    Raises:
        MCPClientError: the tools could not be had.
    """
    discovery = _discover(connection, chosen, known_digest)
    declared = {"prompts", "resources"} & set(discovery.capabilities)
    settled = replace(
        connection, protocol=discovery.protocol, protocol_version=discovery.protocol_version
    )
    try:
        offerings = (
            MCPClient(settled).discover_offerings(declared=declared) if declared else Offerings()
        )
    except MCPClientError as exc:
        return Found(discovery, problem=without_secrets(str(exc), connection))
    return Found(discovery, offerings)


def without_secrets(text: str, connection: Connection) -> str:
    """An error's text, fit to be stored and shown."""
    for secret in connection.secrets:
        text = text.replace(secret, "[redacted]")
    return text


def _discover(connection: Connection, chosen: Protocols, known_digest: str) -> Discovery:
    """Ask in the protocol that the last sync settled; where that fails, in the chosen one."""
    try:
        return MCPClient(connection).discover(known_digest=known_digest)
    except (ProtocolError, UnexpectedStatus):
        if connection.protocol == chosen:
            raise
    return MCPClient(replace(connection, protocol=chosen, protocol_version="")).discover()
