"""MCP servers, as rows."""

import logging
from dataclasses import dataclass, replace
from typing import Self, cast

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import DatabaseError, models, router
from django.db.models import Case, Count, F, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from automate.authorization import AccountAuthenticator
from automate.conf import conf
from automate.databases import briefly_connected
from automate.freshness import RETRY_AFTER
from automate.secrets import authentication_headers
from automate.stdio import PREFIX, stdio_command
from automate.token_store import RowTokenStore
from automate.validators import (
    validate_endpoint_url,
    validate_header_name,
    validate_permission,
    validate_secret_reference,
)
from automate_llm.authentication import Authenticator
from automate_llm.exceptions import AuthorizationRequired
from automate_llm.oauth import OAuthAuthenticator, OAuthConfig
from automate_llm.oauth.values import Grant
from automate_llm.transports.protocol import HANDSHAKE_VERSIONS
from automate_llm.values import Connectable, Connection, Protocols

from .oauth import MCPServerOAuth, OAuthToken
from .reviews import WAITING, Review

logger = logging.getLogger(__name__)

User = AbstractBaseUser | AnonymousUser


class MCPServerQuerySet(models.QuerySet["MCPServer"]):
    def enabled(self) -> Self:
        """Servers that an operator has switched on."""
        return self.filter(enabled=True)

    def due(self) -> Self:
        """Enabled servers whose list is older than they said that it may be."""
        return self.enabled().filter(due_at__lte=timezone.now())

    def with_tool_counts(self) -> Self:
        """Servers with `tool_count`, `usable_count` and `review_count`."""
        return self.annotate(
            tool_count=Count("tools", filter=Q(tools__available=True)),
            usable_count=Count(
                "tools",
                filter=Q(
                    tools__available=True,
                    tools__enabled=True,
                    tools__review=Review.APPROVED,
                    tools__schema_error="",
                ),
            ),
            review_count=Count(
                "tools",
                filter=Q(tools__available=True, tools__review__in=WAITING),
            ),
        )

    def with_account_counts(self) -> Self:
        """Servers with `account_count`, the accounts and tokens that are held for them, and with
        `ending_count`, those of people that have to be connected again soon.
        """
        rows = OAuthToken.objects
        return self.annotate(
            account_count=_count_of(rows.connected()),
            ending_count=_count_of(rows.needing_people()),
        )


def _count_of(tokens: models.QuerySet[OAuthToken]) -> Coalesce:
    """How many of these tokens a server has."""
    own = tokens.filter(server=OuterRef("pk")).order_by().values("server")
    return Coalesce(Subquery(own.annotate(n=Count("pk")).values("n")), 0)


class MCPServer(models.Model):
    """A server that speaks the Model Context Protocol, or the simple HTTP dialect."""

    class AuthType(models.TextChoices):
        NONE = "none", _("No credential")
        BEARER = "bearer", _("Bearer token")
        API_KEY = "api_key", _("API key in a header")
        OAUTH_CLIENT = "oauth_client", _("OAuth, this site's own access")
        OAUTH_USER = "oauth_user", _("OAuth, each person connects an account")

    class Protocol(models.TextChoices):
        AUTO = "auto", _("Find out at sync")
        MCP = "mcp", _("MCP over streamable HTTP")
        SSE = "sse", _("MCP over HTTP+SSE (2024-11-05)")
        REST = "rest", _("Simple HTTP dialect")

    name = models.CharField(_("name"), max_length=100, help_text=_("What people see."))
    slug = models.SlugField(
        _("slug"),
        max_length=40,
        unique=True,
        help_text=_("Starts the name of every tool that the model is shown. Do not change it."),
    )
    endpoint_url = models.CharField(
        _("endpoint URL"),
        max_length=500,
        validators=[validate_endpoint_url],
        help_text=_(
            "The MCP endpoint, such as https://mcp.example.com/mcp. For the simple HTTP dialect, "
            "the address before /tools and /execute. stdio:NAME for a command that "
            "AUTOMATE['STDIO_SERVERS'] names."
        ),
    )
    protocol = models.CharField(
        _("protocol"), max_length=10, choices=Protocol.choices, default=Protocol.AUTO
    )
    auth_type = models.CharField(
        _("authentication"), max_length=20, choices=AuthType.choices, default=AuthType.NONE
    )
    auth_header = models.CharField(
        _("API key header"),
        max_length=100,
        default="X-API-Key",
        validators=[validate_header_name],
        help_text=_("The header that carries an API key."),
    )
    auth_secret_ref = models.CharField(
        _("secret"),
        max_length=2000,
        blank=True,
        default="",
        help_text=_(
            "env:VAR_NAME or file:/path, read whenever it is needed. A raw token works too, but "
            "then it lies in the database."
        ),
        validators=[validate_secret_reference],
    )
    timeout = models.FloatField(
        _("time limit"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0.1), MaxValueValidator(600)],
        help_text=_("Seconds for one call, everything included. Empty: the site's MCP_TIMEOUT."),
    )
    enabled = models.BooleanField(
        _("enabled"),
        default=True,
        help_text=_("Off: no chat uses its tools, and a sync of all servers leaves it out."),
    )
    accept_changes = models.BooleanField(
        _("accept changes by itself"),
        default=False,
        help_text=_(
            "On: new tools and changed definitions are used at once. Off, the safe way: they wait "
            "for somebody's approval. What waits already still needs it."
        ),
    )

    required_permission = models.CharField(
        _("required permission"),
        max_length=150,
        blank=True,
        default="",
        validators=[validate_permission],
        help_text=_(
            "app_label.codename, such as orders.view_order: only people who have it, themselves or "
            "by a group, may use what this server offers. Empty: everybody."
        ),
    )

    settled_protocol = models.CharField(max_length=10, blank=True, default="", editable=False)
    protocol_version = models.CharField(
        _("protocol version"), max_length=20, blank=True, default="", editable=False
    )
    server_name = models.CharField(
        _("calls itself"), max_length=200, blank=True, default="", editable=False
    )
    server_version = models.CharField(
        _("its version"), max_length=100, blank=True, default="", editable=False
    )
    instructions = models.TextField(_("instructions"), blank=True, default="", editable=False)
    tools_digest = models.CharField(
        max_length=64,
        blank=True,
        default="",
        editable=False,
        help_text=_("Of the list that was stored last; empty before the first sync."),
    )
    listed_count = models.PositiveIntegerField(
        default=0, editable=False, help_text=_("Tools in the list that was stored last.")
    )
    offerings_digest = models.CharField(
        max_length=64,
        blank=True,
        default="",
        editable=False,
        help_text=_("Of the resources and prompts that were stored last; empty for none."),
    )
    offerings_warning = models.CharField(
        _("warning about resources and prompts"),
        max_length=500,
        blank=True,
        default="",
        editable=False,
        help_text=_("What the last sync left out, or why it could not have the lists."),
    )
    list_changed = models.BooleanField(
        default=False,
        editable=False,
        help_text=_("Whether it tells who listens when its tools change."),
    )
    due_at = models.DateTimeField(
        _("due"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("When its list is to be asked for again; empty where the server does not say."),
    )
    last_synced = models.DateTimeField(_("last synced"), null=True, blank=True, editable=False)
    last_error = models.CharField(
        _("last error"), max_length=500, blank=True, default="", editable=False
    )
    last_warning = models.CharField(
        _("last warning"),
        max_length=500,
        blank=True,
        default="",
        editable=False,
        help_text=_("Tools that the last sync left out, and why."),
    )
    failed_syncs = models.PositiveIntegerField(
        _("failed syncs"),
        default=0,
        editable=False,
        help_text=_("In a row, up to the last one."),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    # Only on rows from `with_tool_counts`.
    tool_count: int
    usable_count: int
    review_count: int
    # Only on rows from `with_account_counts`.
    account_count: int
    ending_count: int

    objects = MCPServerQuerySet.as_manager()

    class Meta:
        verbose_name = _("MCP server")
        verbose_name_plural = _("MCP servers")
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def chosen_protocol(self) -> Protocols:
        """What the operator chose: a protocol, or that a sync finds out."""
        return cast(Protocols, self.protocol)

    @property
    def may_hold_calls(self) -> bool:
        """Whether it asks a person, if at all, while it holds the call: over HTTP, in a version of
        before 2026-07-28. A command that does so is shared by all people, and can ask nobody.
        """
        over_http = not self.endpoint_url.startswith(PREFIX)
        return over_http and self.protocol_version in HANDSHAKE_VERSIONS

    @property
    def oauth_settings(self) -> MCPServerOAuth:
        """How this site is known to the authorization server; the defaults where nobody said."""
        with briefly_connected(router.db_for_read(MCPServerOAuth, instance=self)):
            try:
                return self.oauth
            except MCPServerOAuth.DoesNotExist:
                return MCPServerOAuth(server=self)

    def connection(self, user: User | None = None) -> Connection:
        """What the client needs to reach this server for somebody, its secrets read now.

        Raises:
            MCPClientError: a secret is missing, or `stdio:NAME` names no command.
            AuthorizationRequired: the server needs to know for whom.
        """
        settings = conf()
        chosen = self.protocol != self.Protocol.AUTO or not self.settled_protocol
        connection = Connection(
            slug=self.slug,
            endpoint_url=self.endpoint_url,
            headers=authentication_headers(self.auth_type, self.auth_header, self.auth_secret_ref),
            protocol=cast(Protocols, self.protocol if chosen else self.settled_protocol),
            protocol_version=self.protocol_version,
            timeout=self.timeout or settings.MCP_TIMEOUT,
            principal="" if user is None else str(user.pk),
            private_hosts=settings.private_hosts(),
            command=stdio_command(self.endpoint_url),
            on_change=self.mark_changed,
        )
        authenticator = self._authenticator(connection, user)
        return replace(connection, authenticator=authenticator) if authenticator else connection

    def for_user(self, user: User) -> Connectable:
        """This server as one person reaches it: with that person's account and nobody else's."""
        return _ServerOfUser(self, user)

    def oauth_config(self, redirect_uri: str = "", client_metadata_url: str = "") -> OAuthConfig:
        """How this site is authorized here; the addresses matter to somebody who connects only.

        Raises:
            SecretUnavailable: the client's secret or private key cannot be had.
        """
        own = self.auth_type == self.AuthType.OAUTH_CLIENT
        grant: Grant = "client_credentials" if own else "authorization_code"
        return self.oauth_settings.config(grant, redirect_uri, client_metadata_url)

    def token_store(self, user: User | None) -> RowTokenStore:
        """Where this person's token is kept, or the site's own."""
        return RowTokenStore(OAuthToken.objects.all(), self.pk, user.pk if user else None)

    def _authenticator(self, connection: Connection, user: User | None) -> Authenticator | None:
        if self.auth_type == self.AuthType.OAUTH_CLIENT:
            return OAuthAuthenticator(connection, self.oauth_config(), self.token_store(None))
        if self.auth_type != self.AuthType.OAUTH_USER:
            return None
        if user is None or user.pk is None:
            raise AuthorizationRequired(
                f"{self.name} is used with each person's own account, and nobody's is at hand. "
                "Connect yours first."
            )
        return AccountAuthenticator(
            connection, self.oauth_config(), self.token_store(user), self.name
        )

    def mark_changed(self) -> None:
        """A call found that the server is not what was synced: it is due. For a call's thread.

        Where the database fails the next call will say so again: the call itself must not fail.
        """
        now = timezone.now()
        rows = MCPServer.objects.filter(pk=self.pk).exclude(due_at__lte=now)
        with briefly_connected(rows.db):
            try:
                rows.update(due_at=now)
            except DatabaseError:
                logger.warning("MCP server %r changed, which could not be noted.", self.slug)

    def mark_failed(self, error: str) -> None:
        """The last sync failed; its tools stay as they were. A server that is due rests."""
        self.last_error = error[:500]
        self.failed_syncs += 1
        later = Case(When(due_at__isnull=False, then=Value(timezone.now() + RETRY_AFTER)))
        MCPServer.objects.filter(pk=self.pk).update(
            last_error=self.last_error, failed_syncs=F("failed_syncs") + 1, due_at=later
        )


@dataclass(frozen=True, slots=True)
class _ServerOfUser:
    server: MCPServer
    user: User

    def connection(self) -> Connection:
        return self.server.connection(self.user)
