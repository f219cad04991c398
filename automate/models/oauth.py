"""OAuth of MCP servers, as rows: how a server is authorized at, and the tokens that are held."""

import dataclasses
from datetime import timedelta
from typing import Any, Self, cast

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from automate.encryption import opened, sealed
from automate.secrets import resolve_private_key, resolve_server_secret
from automate.token_store import token_in
from automate.validators import (
    validate_issuer,
    validate_key_reference,
    validate_scopes,
    validate_secret_reference,
)
from automate_llm.oauth import Challenge, Client, OAuthConfig, Token
from automate_llm.oauth.values import ClientAuthentication, Grant

WARNED_AHEAD = timedelta(days=7)
"""How long before an access ends that nothing renews an operator sees it."""


class MCPServerOAuth(models.Model):
    """How this site is known to the authorization server that protects an MCP server."""

    class Authentication(models.TextChoices):
        SECRET_BASIC = "client_secret_basic", _("Client secret in a header")
        SECRET_POST = "client_secret_post", _("Client secret in the form")
        PRIVATE_KEY = "private_key_jwt", _("Signed with a private key")

    server = models.OneToOneField(
        "automate.MCPServer", on_delete=models.CASCADE, related_name="oauth"
    )
    issuer = models.CharField(
        _("issuer"),
        max_length=500,
        blank=True,
        default="",
        validators=[validate_issuer],
        help_text=_(
            "The authorization server's own name for itself, such as https://login.example.com. "
            "The client id is used nowhere else, so that it needs this."
        ),
    )
    client_id = models.CharField(
        _("client id"),
        max_length=500,
        blank=True,
        default="",
        help_text=_(
            "Of a client that you registered there. Empty: this site introduces itself by its "
            "metadata document, or registers by itself, where the authorization server takes that."
        ),
    )
    client_secret_ref = models.CharField(
        _("client secret"),
        max_length=2000,
        blank=True,
        default="",
        validators=[validate_secret_reference],
        help_text=_(
            "env:VAR_NAME or file:/path, read whenever it is needed. The secret itself works too, "
            "but then it lies in the database."
        ),
    )
    private_key_ref = models.CharField(
        _("private key"),
        max_length=500,
        blank=True,
        default="",
        validators=[validate_key_reference],
        help_text=_("env:VAR_NAME or file:/path of a key (PEM) whose public half is known there."),
    )
    token_endpoint_auth_method = models.CharField(
        _("proof of the client"),
        max_length=30,
        choices=Authentication.choices,
        blank=True,
        default="",
        help_text=_("Empty: the best that both sides have."),
    )
    scopes = models.CharField(
        _("scopes"),
        max_length=1000,
        blank=True,
        default="",
        validators=[validate_scopes],
        help_text=_("Asked for where the server demands none; one space between two."),
    )
    client_data = models.TextField(
        blank=True,
        default="",
        editable=False,
        help_text=_("What this site registered by itself, encrypted."),
    )

    class Meta:
        verbose_name = _("OAuth client")
        verbose_name_plural = _("OAuth clients")

    def __str__(self) -> str:
        return self.client_id or "-"

    def clean(self) -> None:
        problems = {}
        if self.client_id and not self.issuer:
            problems["issuer"] = _("Say which authorization server the client id belongs to.")
        needed: dict[str, str] = {
            self.Authentication.SECRET_BASIC: "client_secret_ref",
            self.Authentication.SECRET_POST: "client_secret_ref",
            self.Authentication.PRIVATE_KEY: "private_key_ref",
        }
        name = needed.get(self.token_endpoint_auth_method)
        if name and not getattr(self, name):
            problems[name] = _("The chosen proof needs it.")
        if problems:
            raise ValidationError(problems)

    def config(self, grant: Grant, redirect_uri: str, client_metadata_url: str) -> OAuthConfig:
        """What the client needs to be authorized, its secrets read now.

        Raises:
            SecretUnavailable: the client's secret or private key cannot be had.
        """
        secret, key = self.client_secret_ref, self.private_key_ref
        method = self.token_endpoint_auth_method or None
        return OAuthConfig(
            grant=grant,
            client_id=self.client_id,
            client_secret=resolve_server_secret(secret) if secret else "",
            private_key=resolve_private_key(key) if key else "",
            client_authentication=cast(ClientAuthentication | None, method),
            issuer=self.issuer,
            client_metadata_url=client_metadata_url,
            redirect_uri=redirect_uri,
            scopes=tuple(self.scopes.split()),
        )

    def registered_client(self) -> Client | None:
        """The client that this site registered by itself, where it can still be read."""
        data = opened(self.client_data)
        return Client(**data) if data else None

    def keep_client(self, client: Client) -> None:
        """Use this client from now on, for everybody's accounts."""
        self.client_data = sealed(dataclasses.asdict(client))
        MCPServerOAuth.objects.update_or_create(
            server=self.server, defaults={"client_data": self.client_data}
        )

    def forget_client(self) -> None:
        """Register anew the next time."""
        MCPServerOAuth.objects.filter(server=self.server).update(client_data="")


class OAuthTokenQuerySet(models.QuerySet["OAuthToken"]):
    def connected(self) -> Self:
        """Rows that hold a token; the others only lock."""
        return self.exclude(token_data="")

    def needing_people(self) -> Self:
        """Accounts that have to be connected again by now, or within a week."""
        soon = timezone.now() + WARNED_AHEAD
        ending = models.Q(renewable=False, expires_at__lte=soon)
        return self.connected().filter(ending | ~models.Q(attention=""), user__isnull=False)

    def of_staff(self) -> Self:
        """Accounts of people who may enter the admin."""
        return self.filter(user__is_staff=True, user__is_active=True)


class OAuthToken(models.Model):
    """The token for one MCP server: a person's, or the site's own where `user` is null.

    Only `automate.token_store` writes it.
    """

    server = models.ForeignKey(
        "automate.MCPServer",
        on_delete=models.CASCADE,
        related_name="oauth_tokens",
        db_index=False,
        verbose_name=_("server"),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("user"),
    )
    account = models.CharField(
        max_length=64,
        default="",
        editable=False,
        help_text=_("The user's key, empty for the site's own: a null is never a duplicate."),
    )
    token_data = models.TextField(blank=True, default="", editable=False)
    connected_at = models.DateTimeField(_("connected"), null=True, blank=True)
    expires_at = models.DateTimeField(_("access ends"), null=True, blank=True)
    renewable = models.BooleanField(
        _("renews itself"), default=False, help_text=_("Whether there is a refresh token.")
    )
    attention = models.CharField(
        max_length=500,
        blank=True,
        default="",
        help_text=_("Why the person must connect the account again."),
    )
    challenge_data = models.JSONField(
        blank=True, default=dict, help_text=_("What the server asked for then.")
    )
    lease = models.CharField(
        max_length=32, blank=True, default="", help_text=_("Who renews the token now.")
    )
    leased_until = models.DateTimeField(null=True, blank=True)

    objects = OAuthTokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("connected account")
        verbose_name_plural = _("connected accounts")
        constraints = [
            models.UniqueConstraint(
                fields=["server", "account"], name="automate_token_server_account"
            )
        ]

    def __str__(self) -> str:
        return f"{self.server} ({self.user or '-'})"

    def save(self, **options: Any) -> None:
        """Store it under its account's name."""
        self.account = str(self.user_id or "")
        super().save(**options)

    @property
    def token(self) -> Token | None:
        """The token; `None` where none can be decrypted.

        Raises:
            MCPClientError: a key cannot be had.
        """
        return token_in(self.token_data)

    @property
    def days_left(self) -> int | None:
        """Days until a person must connect again; `None` where nobody has to, or it is unknown."""
        if self.renewable or self.expires_at is None:
            return None
        return max((self.expires_at - timezone.now()).days, 0)

    @property
    def has_ended(self) -> bool:
        """Whether the access ended, and nothing renews it."""
        return bool(not self.renewable and self.expires_at and self.expires_at <= timezone.now())

    @property
    def challenge(self) -> Challenge | None:
        """What the server asked for when it refused the account."""
        data: dict[str, Any] = self.challenge_data
        return Challenge(**{**data, "scopes": tuple(data["scopes"])}) if data else None
