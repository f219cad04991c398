"""MCP servers and their tools, as rows."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import reduce
from typing import ClassVar, Self, cast

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Case, Count, F, Q, Value, When
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from automate_llm.functions import function_name
from automate_llm.values import Connection, Protocols

from .conf import conf
from .definitions import Definition, definition_hash, schema_problem
from .secrets import authentication_headers
from .stdio import stdio_command
from .validators import validate_endpoint_url, validate_header_name, validate_secret_reference


class MCPServerQuerySet(models.QuerySet["MCPServer"]):
    def enabled(self) -> Self:
        """Servers that an operator has switched on."""
        return self.filter(enabled=True)

    def with_tool_counts(self) -> Self:
        """Servers with `tool_count`, `usable_count` and `review_count`."""
        return self.annotate(
            tool_count=Count("tools", filter=Q(tools__available=True)),
            usable_count=Count(
                "tools",
                filter=Q(
                    tools__available=True,
                    tools__enabled=True,
                    tools__review=MCPTool.Review.APPROVED,
                    tools__schema_error="",
                ),
            ),
            review_count=Count(
                "tools",
                filter=Q(tools__available=True) & ~Q(tools__review=MCPTool.Review.APPROVED),
            ),
        )


class MCPServer(models.Model):
    """A server that speaks the Model Context Protocol, or the simple HTTP dialect."""

    class AuthType(models.TextChoices):
        NONE = "none", _("No credential")
        BEARER = "bearer", _("Bearer token")
        API_KEY = "api_key", _("API key in a header")

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
        _("authentication"), max_length=10, choices=AuthType.choices, default=AuthType.NONE
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
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    # Only on rows from `with_tool_counts`.
    tool_count: int
    usable_count: int
    review_count: int

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

    def connection(self) -> Connection:
        """What the client needs to reach this server, its secret read now.

        Raises:
            MCPClientError: the secret is missing, or `stdio:NAME` names no command.
        """
        settings = conf()
        chosen = self.protocol != self.Protocol.AUTO or not self.settled_protocol
        return Connection(
            slug=self.slug,
            endpoint_url=self.endpoint_url,
            headers=authentication_headers(self.auth_type, self.auth_header, self.auth_secret_ref),
            protocol=cast(Protocols, self.protocol if chosen else self.settled_protocol),
            protocol_version=self.protocol_version,
            timeout=self.timeout or settings.MCP_TIMEOUT,
            private_hosts=settings.private_hosts(),
            command=stdio_command(self.endpoint_url),
        )

    def mark_failed(self, error: str) -> None:
        """The last sync failed; its tools stay as they were."""
        self.last_error = error[:500]
        MCPServer.objects.filter(pk=self.pk).update(last_error=self.last_error)


class MCPToolQuerySet(models.QuerySet["MCPTool"]):
    def usable(self) -> Self:
        """Tools that a chat may call now."""
        return self.filter(**MCPTool.USABLE)

    def awaiting_review(self) -> Self:
        """Tools that wait for somebody to look at them."""
        return self.filter(available=True).exclude(review=MCPTool.Review.APPROVED)

    def usable_by(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Tools that this person's chat may call now; nobody without an active account has any."""
        return self.usable() if user.is_active else self.none()

    def approve(self) -> int:
        """Trust the definitions as they stand; a new tool is switched on by it.

        Returns how many tools were waiting.
        """
        return self.awaiting_review().update(
            enabled=Case(When(review=MCPTool.Review.NEW, then=Value(True)), default=F("enabled")),
            review=MCPTool.Review.APPROVED,
            approved_hash=F("definition_hash"),
            approved_definition=None,
        )

    def enable(self) -> int:
        """Switch tools on. A new one is approved by it, since somebody has then looked at it.

        A changed one stays stopped until its change is approved.
        """
        new = Q(review=MCPTool.Review.NEW)
        return self.update(
            enabled=True,
            approved_hash=Case(When(new, then=F("definition_hash")), default=F("approved_hash")),
            review=Case(When(new, then=Value(MCPTool.Review.APPROVED)), default=F("review")),
        )

    def disable(self) -> int:
        """Switch tools off; no sync switches them on again."""
        return self.update(enabled=False)


class MCPTool(models.Model):
    """A tool of a server, as the server last described it."""

    DEFINITION = frozenset(Definition.__annotations__)
    """The fields that are approved together."""

    class Review(models.TextChoices):
        APPROVED = "approved", _("Approved")
        NEW = "new", _("New, awaiting review")
        CHANGED = "changed", _("Changed, awaiting review")

    USABLE: ClassVar[Mapping[str, object]] = {
        "enabled": True,
        "available": True,
        "review": Review.APPROVED,
        "schema_error": "",
        "server__enabled": True,
    }
    """What every field must be for a chat to call the tool."""

    # The unique constraint below begins with the server, so that an index of its own is not needed.
    server = models.ForeignKey(
        MCPServer,
        on_delete=models.CASCADE,
        related_name="tools",
        db_index=False,
        verbose_name=_("server"),
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("The server's own name for it."))
    function_name = models.CharField(
        _("function name"),
        max_length=64,
        unique=True,
        help_text=_("What the model calls it: the server's slug and the tool's name."),
    )
    title = models.CharField(_("title"), max_length=200, blank=True, default="")
    description = models.TextField(_("description"), blank=True, default="")
    input_schema = models.JSONField(_("input schema"), default=dict)
    output_schema = models.JSONField(_("output schema"), null=True, blank=True, default=None)
    annotations = models.JSONField(_("annotations"), blank=True, default=dict)
    definition_hash = models.CharField(max_length=64, editable=False)
    approved_hash = models.CharField(
        max_length=64,
        blank=True,
        default="",
        editable=False,
        help_text=_("The hash of the definition that was approved last."),
    )
    version = models.PositiveIntegerField(
        _("version"), default=1, help_text=_("Counts the changes of its definition.")
    )
    approved_definition = models.JSONField(
        null=True,
        blank=True,
        default=None,
        editable=False,
        help_text=_("What was approved before the change that now awaits review."),
    )

    enabled = models.BooleanField(
        _("enabled"), default=True, help_text=_("The operator's own switch; no sync turns it on.")
    )
    available = models.BooleanField(
        _("available"), default=True, help_text=_("Whether the server listed it at the last sync.")
    )
    review = models.CharField(
        _("review"), max_length=10, choices=Review.choices, default=Review.APPROVED
    )
    schema_error = models.CharField(
        _("schema error"),
        max_length=500,
        blank=True,
        default="",
        help_text=_("Why arguments cannot be checked against its schema; such a tool is not used."),
    )
    first_seen = models.DateTimeField(_("first seen"), default=timezone.now)
    changed_at = models.DateTimeField(_("changed"), default=timezone.now)

    objects = MCPToolQuerySet.as_manager()

    class Meta:
        verbose_name = _("MCP tool")
        verbose_name_plural = _("MCP tools")
        ordering = ["server__name", "name"]
        constraints = [
            models.UniqueConstraint(fields=["server", "name"], name="automate_tool_server_name")
        ]

    def __str__(self) -> str:
        return self.title or self.name

    def save(
        self,
        *,
        force_insert: bool | tuple[models.base.ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Save it; a definition that code has changed becomes a new version, trusted as it is."""
        if update_fields is None or not self.DEFINITION.isdisjoint(update_fields):
            moved = self._settle_definition()
            update_fields = None if update_fields is None else {*update_fields, *moved}
        super().save(
            force_insert=force_insert,
            force_update=force_update,
            using=using,
            update_fields=update_fields,
        )

    @property
    def usable(self) -> bool:
        """Whether a chat may call it now; the same rule as `MCPToolQuerySet.usable`."""
        return all(
            reduce(getattr, path.split("__"), self) == value for path, value in self.USABLE.items()
        )

    def usable_by(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        """Whether this person's chat may call it now; the same rule as of the queryset."""
        return user.is_active and self.usable

    @property
    def waiting_since(self) -> datetime | None:
        """When it began to wait for review; nothing where it does not wait."""
        return None if self.review == self.Review.APPROVED else self.changed_at

    def definition(self) -> Definition:
        """The parts that were approved together."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "input_schema": self.input_schema,
            "output_schema": self.output_schema,
            "annotations": self.annotations,
        }

    def _settle_definition(self) -> set[str]:
        """Bring what follows from the definition up to date; says which fields that touched."""
        self.function_name = self.function_name or function_name(self.server.slug, self.name)
        current = definition_hash(self.definition())
        if current == self.definition_hash:
            return set()
        if self.definition_hash:
            self.version += 1
            self.changed_at = timezone.now()
        self.definition_hash = current
        self.schema_error = schema_problem(self.input_schema)
        if self.review == self.Review.APPROVED:
            self.approved_hash = current
        return {"definition_hash", "approved_hash", "version", "changed_at", "schema_error"}
