"""The tools of MCP servers, as rows."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import reduce
from typing import ClassVar, Self

from django.db import models, router, transaction
from django.db.models import Case, Q, Value, When
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from automate.definitions import Definition, definition_hash, schema_problem
from automate.fields import ExactCharField
from automate.validators import validate_permission
from automate_llm.functions import function_name

from . import reviews
from .permissions import User, permissions_lacked
from .servers import MCPServer
from .versions import MCPToolVersion


class MCPToolQuerySet(models.QuerySet["MCPTool"]):
    def usable(self) -> Self:
        """Tools that a chat may call now."""
        return self.filter(**MCPTool.USABLE)

    def awaiting_review(self) -> Self:
        """Tools that wait for somebody to look at them."""
        return self.filter(available=True, review__in=reviews.WAITING)

    def of_risk(self, risk: str) -> Self:
        """Tools that do this at worst, by the operator's word, else by the server's."""
        effect, says = MCPTool.Effect, "annotations__"
        by_effect = {effect.READ_ONLY: "read_only", effect.DESTRUCTIVE: "destructive"}
        reads, destroys = Q(**{f"{says}readOnlyHint": True}), Q(**{f"{says}destructiveHint": True})
        no = Q(**{f"{says}readOnlyHint": False}) | Q(**{f"{says}destructiveHint": False})
        return self.alias(
            at_worst=Case(
                *(When(effect=said, then=Value(value)) for said, value in by_effect.items()),
                When(~Q(effect=effect.UNSAID), then=Value("write")),
                When(reads, then=Value("read_only")),
                When(destroys, then=Value("destructive")),
                When(no, then=Value("write")),
                default=Value("unsaid"),
            )
        ).filter(at_worst=risk)

    def usable_by(self, user: User) -> Self:
        """Tools that this person's chat may call now, but for what rules and the site's hook say.

        Nobody without an active account has any, nor without the permission that one requires.
        """
        if not user.is_active:
            return self.none()
        usable = self.usable()
        required = usable.exclude(**dict.fromkeys(MCPTool.PERMISSIONS, "")).order_by()
        lacked = permissions_lacked(user, required.values_list(*MCPTool.PERMISSIONS).distinct())
        for pair in lacked:
            usable = usable.exclude(**dict(zip(MCPTool.PERMISSIONS, pair, strict=True)))
        return usable

    def enable(self) -> int:
        """Switch tools on; one that awaits review, or was rejected, stays stopped all the same."""
        return self.update(enabled=True)

    def disable(self) -> int:
        """Switch tools off; no sync switches them on again."""
        return self.update(enabled=False)


class MCPTool(models.Model):
    """A tool of a server, as the server last described it."""

    DEFINITION = frozenset(Definition.__annotations__)
    """The fields that are approved together."""

    Review = reviews.Review

    class Effect(models.TextChoices):
        UNSAID = "", _("As the server says")
        READ_ONLY = "read_only", _("Only reads")
        IDEMPOTENT = "idempotent", _("May safely run twice")
        WRITE = "write", _("Changes something")
        DESTRUCTIVE = "destructive", _("Destroys something")

    class Risk(models.TextChoices):
        READ_ONLY = "read_only", _("Only reads")
        WRITE = "write", _("Changes something")
        DESTRUCTIVE = "destructive", _("Destroys something")
        UNSAID = "unsaid", _("Nobody said what it does")

    USABLE: ClassVar[Mapping[str, object]] = {
        "enabled": True,
        "available": True,
        "review": reviews.Review.APPROVED,
        "schema_error": "",
        "server__enabled": True,
    }
    """What every field must be for a chat to call the tool."""

    PERMISSIONS = ("required_permission", "server__required_permission")
    """Where a tool says which permissions a person must have."""

    # The unique constraint below begins with the server, so that an index of its own is not needed.
    server = models.ForeignKey(
        MCPServer,
        on_delete=models.CASCADE,
        related_name="tools",
        db_index=False,
        verbose_name=_("server"),
    )
    name = ExactCharField(_("name"), max_length=100, help_text=_("The server's own name for it."))
    function_name = ExactCharField(
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
    approved_version = models.PositiveIntegerField(
        null=True,
        blank=True,
        default=None,
        editable=False,
        help_text=_("The version that was approved last; empty where none was."),
    )

    enabled = models.BooleanField(
        _("enabled"), default=True, help_text=_("The operator's own switch; no sync turns it on.")
    )
    available = models.BooleanField(
        _("available"), default=True, help_text=_("Whether the server listed it at the last sync.")
    )
    review = models.CharField(
        _("review"), max_length=10, choices=reviews.Review.choices, default=reviews.Review.APPROVED
    )
    effect = models.CharField(
        _("effect"),
        max_length=12,
        choices=Effect.choices,
        blank=True,
        default=Effect.UNSAID,
        help_text=_(
            "Your own word on what it does; it outranks the server's. A tool that only reads is "
            "called without asking, unless a rule or the site's settings say otherwise; one that "
            "only reads or may safely run twice is called again by itself after a crash."
        ),
    )
    needs_second_person = models.BooleanField(
        _("needs a second person"),
        default=False,
        help_text=_(
            "Each call that is not denied waits until somebody other than who chats has approved "
            "it; that takes the permission “Can approve tool calls that need a second person”."
        ),
    )
    required_permission = models.CharField(
        _("required permission"),
        max_length=150,
        blank=True,
        default="",
        validators=[validate_permission],
        help_text=_(
            "app_label.codename, such as orders.refund_order: only people who have it, themselves "
            "or by a group, see the tool. Empty: everybody."
        ),
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
        permissions = [("review_mcptool", "Can approve and reject definitions of MCP tools")]
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
        moved: set[str] = set()
        if update_fields is None or not self.DEFINITION.isdisjoint(update_fields):
            moved = self._settle_definition()
            update_fields = None if update_fields is None else {*update_fields, *moved}
        alias = using or router.db_for_write(MCPTool, instance=self)
        with transaction.atomic(using=alias, savepoint=False):
            super().save(
                force_insert=force_insert,
                force_update=force_update,
                using=using,
                update_fields=update_fields,
            )
            if moved:
                MCPToolVersion.of(self).save(using=alias)

    @property
    def usable(self) -> bool:
        """Whether a chat may call it now; the same rule as `MCPToolQuerySet.usable`."""
        return all(
            reduce(getattr, path.split("__"), self) == value for path, value in self.USABLE.items()
        )

    def usable_by(self, user: User) -> bool:
        """Whether this person's chat may call it now; the same rule as of the queryset."""
        required = self.required_permission, self.server.required_permission
        return user.is_active and self.usable and not permissions_lacked(user, [required])

    @property
    def waiting_since(self) -> datetime | None:
        """When it began to wait for review; nothing where it does not wait."""
        return self.changed_at if self.review in reviews.WAITING else None

    @property
    def reads_only(self) -> bool:
        """Whether it changes nothing: by the operator's word, else by the server's."""
        if self.effect:
            return self.effect == self.Effect.READ_ONLY
        return self.annotations.get("readOnlyHint") is True

    @property
    def risk(self) -> Risk:
        """What it does at worst: by the operator's word, else by the server's; as in `of_risk`."""
        if self.effect:
            said = {self.Effect.READ_ONLY.value, self.Effect.DESTRUCTIVE.value}
            return self.Risk(self.effect if self.effect in said else self.Risk.WRITE)
        hints = [self.annotations.get(name) for name in ("readOnlyHint", "destructiveHint")]
        if hints[0] is True:
            return self.Risk.READ_ONLY
        if hints[1] is True:
            return self.Risk.DESTRUCTIVE
        return self.Risk.WRITE if False in hints else self.Risk.UNSAID

    @property
    def may_run_twice(self) -> bool:
        """Whether the operator said that a second run does no harm; the server's will not do."""
        return self.effect in (self.Effect.READ_ONLY, self.Effect.IDEMPOTENT)

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
            self.approved_hash, self.approved_version = current, self.version
        approved = {"approved_hash", "approved_version"}
        return {"definition_hash", *approved, "version", "changed_at", "schema_error"}
