"""People's accounts at MCP servers: which there are, how one is connected, and how it is ended."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from automate_llm.exceptions import (
    AuthorizationFailed,
    AuthorizationRequired,
    MCPClientError,
    ProtocolError,
    UnexpectedStatus,
)
from automate_llm.mcp_client import MCPClient
from automate_llm.oauth import (
    Challenge,
    MemoryTokenStore,
    OAuthAuthenticator,
    OAuthConfig,
    Pending,
    begin_authorization,
    complete_authorization,
    revoke,
)
from automate_llm.values import Connection

from .encryption import resealed
from .models import MCPServer, MCPServerOAuth, OAuthToken

logger = logging.getLogger(__name__)

_NOT_OUR_CLIENT = ("invalid_client", "unauthorized_client")


@dataclass(frozen=True, slots=True)
class Account:
    """One server as a person sees it; `row` is none where nothing is connected.

    `problem` says why the account has to be connected again, `ending` when that will be so.
    """

    server: MCPServer
    row: OAuthToken | None = None
    problem: str = ""
    ending: str = ""

    @property
    def may_connect(self) -> bool:
        """Whether the server is one that people connect to now."""
        return self.server.enabled and self.server.auth_type == MCPServer.AuthType.OAUTH_USER


def accounts_of(user: AbstractBaseUser) -> list[Account]:
    """The servers that this person can connect to, and those that are connected still."""
    rows = {row.server_id: row for row in OAuthToken.objects.connected().filter(user=user.pk)}
    open_to_people = Q(enabled=True, auth_type=MCPServer.AuthType.OAUTH_USER)
    servers = MCPServer.objects.filter(open_to_people | Q(pk__in=rows))
    return [_account(server, rows.get(server.pk)) for server in servers]


def begin(
    server: MCPServer, user: AbstractBaseUser, redirect_uri: str, client_metadata_url: str
) -> tuple[str, Pending]:
    """The address to send the person to, and what to keep for them until they are back.

    Raises:
        MCPClientError: the server or its authorization server is not as it should be.
    """
    config = server.oauth_config(redirect_uri, client_metadata_url)
    connection = server.connection(user)
    settings, row = server.oauth_settings, _row(server, user)
    known = settings.registered_client()
    address, pending = begin_authorization(
        connection,
        config,
        challenge=(row and row.challenge) or _challenge(connection, config),
        token=server.token_store(user).get(),
        client=known,
    )
    client = pending.binding.client
    if client.redirect_uri and client != known:
        settings.keep_client(client)
    return address, pending


def complete(
    server: MCPServer, user: AbstractBaseUser, pending: Pending, parameters: Mapping[str, str]
) -> None:
    """The account is connected, with what the person brought back.

    Raises:
        MCPClientError: it is not.
    """
    connection = server.connection(user)
    config = server.oauth_config(pending.redirect_uri)
    try:
        token = complete_authorization(connection, config, pending, parameters)
    except AuthorizationFailed as exc:
        if exc.code in _NOT_OUR_CLIENT:
            server.oauth_settings.forget_client()
        raise
    server.token_store(user).save(token)


def disconnect(server: MCPServer, user: AbstractBaseUser) -> bool:
    """The account is forgotten here; whether the authorization server has ended it too."""
    store = server.token_store(user)
    try:
        connection = server.connection(user)
        # Whoever renews it now gets another refresh token, and that is the one to be ended.
        with store.locked(connection.timeout):
            token = store.get()
            return token is not None and revoke(connection, server.oauth_config(), token)
    except TimeoutError:
        return False
    except MCPClientError as exc:
        logger.warning("An account of MCP server %r was not ended there: %s", server.slug, exc)
        return False
    finally:
        store.remove()


def forget_all(servers: list[MCPServer]) -> int:
    """Forget every account of these servers and what was registered there; says how many."""
    rows = OAuthToken.objects.filter(server__in=servers)
    count = rows.connected().count()
    rows.delete()
    for server in servers:
        server.oauth_settings.forget_client()
    return count


def reseal_all() -> tuple[int, int]:
    """Encrypt everything under the newest key: how much was, and how much no key opens.

    What somebody else writes meanwhile is theirs, and under the newest key already.

    Raises:
        MCPClientError: a key cannot be had.
    """
    done = unreadable = 0
    for rows, name in (
        (OAuthToken.objects.all(), "token_data"),
        (MCPServerOAuth.objects.all(), "client_data"),
    ):
        for pk, old in rows.exclude(**{name: ""}).values_list("pk", name).iterator():
            new = resealed(old)
            if new is None:
                unreadable += 1
            else:
                done += rows.filter(pk=pk, **{name: old}).update(**{name: new})
    return done, unreadable


def _account(server: MCPServer, row: OAuthToken | None) -> Account:
    if row is None:
        return Account(server)
    return Account(server, row, _problem(server, row), _ending(row))


def _problem(server: MCPServer, row: OAuthToken) -> str:
    try:
        token = row.token
    except MCPClientError as exc:
        return str(exc)
    if token is None:
        return _("What was stored of it cannot be read any more. Connect it again.")
    if token.binding.server_url != server.endpoint_url:
        return _("The server has another address now. Connect the account again.")
    if row.has_ended:
        return _("The access has ended. Connect the account again.")
    return row.attention


def _ending(row: OAuthToken) -> str:
    days = row.days_left
    if days is None:
        return ""
    if days == 0:
        return _("expires in less than a day; connect it again then")
    return ngettext(
        "expires in %d day; connect it again then",
        "expires in %d days; connect it again then",
        days,
    ) % (days,)


def _row(server: MCPServer, user: AbstractBaseUser) -> OAuthToken | None:
    return OAuthToken.objects.connected().filter(server=server, user=user.pk).first()


def _challenge(connection: Connection, config: OAuthConfig) -> Challenge | None:
    """What the server asks of somebody who has no account yet."""
    nobody = OAuthAuthenticator(connection, config, MemoryTokenStore())
    try:
        MCPClient(replace(connection, authenticator=nobody)).discover()
    except AuthorizationRequired as exc:
        return exc.challenge
    except (ProtocolError, UnexpectedStatus):
        return None  # its metadata may be where the specification says
    return None
