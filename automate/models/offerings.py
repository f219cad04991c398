"""What MCP servers offer beside tools, as rows: resources, and prompts."""

from typing import Any, ClassVar, Generic, Self, TypeVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from automate.fields import ExactCharField

from .permissions import User, permissions_lacked
from .servers import MCPServer

Row = TypeVar("Row", bound="Offering")


class OfferingQuerySet(models.QuerySet[Row], Generic[Row]):
    def usable(self) -> Self:
        """Those that a chat may offer now."""
        return self.filter(enabled=True, available=True, server__enabled=True)

    def usable_by(self, user: User) -> Self:
        """Those that this person's chat may offer now.

        Nobody without an active account has any, nor without the permission that a server requires.
        """
        if not user.is_active:
            return self.none()
        where = "server__required_permission"
        required = self.usable().exclude(**{where: ""}).order_by().values_list(where).distinct()
        lacked = [permission for (permission,) in permissions_lacked(user, required)]
        return self.usable().exclude(**{f"{where}__in": lacked})

    def enable(self) -> int:
        """Switch them on."""
        return self.update(enabled=True)

    def disable(self) -> int:
        """Switch them off; no sync switches them on again."""
        return self.update(enabled=False)


class Offering(models.Model):
    """What a person may choose in the chat; nothing of it reaches a model before.

    A changed description is taken over as it is, unlike a tool's: what a resource holds and what
    a prompt says is asked for anew each time, so that pinning the description would pin nothing.
    """

    KEY: ClassVar[str]
    """The field by which its server knows it."""
    DESCRIBED: ClassVar[tuple[str, ...]]
    """The fields that a sync writes."""

    title = models.CharField(_("title"), max_length=200, blank=True, default="")
    description = models.TextField(_("description"), blank=True, default="")
    enabled = models.BooleanField(
        _("enabled"), default=True, help_text=_("The operator's own switch; no sync turns it on.")
    )
    available = models.BooleanField(
        _("available"), default=True, help_text=_("Whether the server listed it at the last sync.")
    )
    first_seen = models.DateTimeField(_("first seen"), default=timezone.now)
    changed_at = models.DateTimeField(_("changed"), default=timezone.now)

    # Each row's own class has it, with a related name of its own.
    server: Any
    name: Any

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.title or self.name


class MCPResource(Offering):
    """Data that a server can give, or a template for addresses of such data."""

    KEY = "uri"
    DESCRIBED = ("name", "title", "description", "mime_type", "size", "is_template")

    server = models.ForeignKey(
        MCPServer,
        on_delete=models.CASCADE,
        related_name="resources",
        db_index=False,
        verbose_name=_("server"),
    )
    uri = ExactCharField(_("address"), max_length=1_000, help_text=_("The server's own."))
    name = models.CharField(_("name"), max_length=200)
    mime_type = models.CharField(_("media type"), max_length=100, blank=True, default="")
    size = models.PositiveBigIntegerField(_("bytes"), null=True, blank=True)
    is_template = models.BooleanField(
        _("template"), default=False, help_text=_("Its address has gaps to fill (RFC 6570).")
    )

    objects = OfferingQuerySet["MCPResource"].as_manager()

    class Meta:
        verbose_name = _("MCP resource")
        verbose_name_plural = _("MCP resources")
        ordering = ["server__name", "uri"]
        constraints = [
            models.UniqueConstraint(fields=["server", "uri"], name="automate_resource_server_uri")
        ]


class MCPPrompt(Offering):
    """A template for messages, which a person chooses to send."""

    KEY = "name"
    DESCRIBED = ("title", "description", "arguments")

    server = models.ForeignKey(
        MCPServer,
        on_delete=models.CASCADE,
        related_name="prompts",
        db_index=False,
        verbose_name=_("server"),
    )
    name = ExactCharField(_("name"), max_length=100, help_text=_("The server's own name for it."))
    arguments = models.JSONField(
        _("arguments"),
        blank=True,
        default=list,
        help_text=_("Texts to ask for, each with name, title, description and required."),
    )

    objects = OfferingQuerySet["MCPPrompt"].as_manager()

    class Meta:
        verbose_name = _("MCP prompt")
        verbose_name_plural = _("MCP prompts")
        ordering = ["server__name", "name"]
        constraints = [
            models.UniqueConstraint(fields=["server", "name"], name="automate_prompt_server_name")
        ]
