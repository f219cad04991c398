"""What waits for a person: approvals of tool calls, and questions of their servers."""

from typing import Any, Self

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from automate.fields import ExactCharField
from automate.models import MCPTool
from automate_llm.values import InputAnswer

from .calls import ToolCall
from .conversations import Conversation

User = AbstractBaseUser | AnonymousUser


class ApprovalQuerySet(models.QuerySet["Approval"]):
    def waiting(self) -> Self:
        """Approvals that nobody has decided, and that may still be."""
        return self.filter(status=Approval.Status.WAITING, expires_at__gt=timezone.now())

    def overdue(self) -> Self:
        """Approvals that nobody decided in time."""
        return self.filter(status=Approval.Status.WAITING, expires_at__lte=timezone.now())

    def decidable_by(self, user: Any) -> Self:
        """Approvals that this person may decide: their own, or as the second person others'."""
        own = Q(user=user, needs_second_person=False)
        if not user.has_perm("automate_chat.approve_for_others"):
            return self.filter(own)
        return self.filter(own | (Q(needs_second_person=True) & ~Q(user=user)))

    def visible_to(self, user: Any) -> Self:
        """Approvals that this person may know of: those they may decide, and all their own."""
        decidable = Approval.objects.decidable_by(user).values("pk")
        return self.filter(
            Q(user=user) | Q(pk__in=decidable), call__turn__conversation__deleted_at=None
        )


class Approval(models.Model):
    """A call that a person must allow: bound to whose it is, its arguments and its tool's version.

    Decided once, by a compare-and-swap `UPDATE`; the row is the record of who decided what.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        APPROVED = "approved", _("Approved")
        DENIED = "denied", _("Denied")
        EXPIRED = "expired", _("Expired")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    class Scope(models.TextChoices):
        ONCE = "once", _("Once")
        CONVERSATION = "conversation", _("In this conversation")
        ALWAYS = "always", _("Always for me")

    call = models.OneToOneField(ToolCall, on_delete=models.CASCADE, related_name="approval")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="+",
        verbose_name=_("asked for by"),
        help_text=_("Whose conversation wants the call."),
    )
    tool = models.ForeignKey(
        MCPTool, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    definition_hash = models.CharField(
        max_length=64, editable=False, help_text=_("Of the tool, as it was when this was asked.")
    )
    arguments_hash = models.CharField(
        max_length=64, editable=False, help_text=_("Of the arguments that are asked about.")
    )
    why = models.CharField(
        _("why it is asked"), max_length=500, blank=True, default="", editable=False
    )
    needs_second_person = models.BooleanField(_("needs a second person"), default=False)
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.WAITING
    )
    scope = models.CharField(_("scope"), max_length=12, choices=Scope.choices, default=Scope.ONCE)
    original_arguments = models.JSONField(
        _("original arguments"),
        null=True,
        blank=True,
        default=None,
        help_text=_("The model's, where the person changed them before they were sent."),
    )
    reason = models.CharField(
        _("reason"), max_length=500, blank=True, default="", help_text=_("What the model is told.")
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("decided by"),
    )
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires"))
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    objects = ApprovalQuerySet.as_manager()

    class Meta:
        verbose_name = _("approval")
        verbose_name_plural = _("approvals")
        ordering = ["pk"]
        indexes = [models.Index(fields=["status", "expires_at"], name="chat_approval_waiting")]
        permissions = [
            ("approve_for_others", _("Can approve tool calls that need a second person"))
        ]

    def __str__(self) -> str:
        return f"{self.call.function_name} ({self.get_status_display()})"

    def opened(self) -> "Approval":
        """What this unsaved one asks, stored; in the place of what was decided on the call before.

        Of that the new row tells who allowed it, and the arguments that the model had written.
        """
        earlier = Approval.objects.filter(call=self.call).select_related("decided_by").first()
        if earlier is None:
            self.save()
            return self
        if earlier.decided_by is not None:
            words = _("%(who)s allowed it before.") % {"who": earlier.decided_by}
            self.why = f"{words} {self.why}".strip()[:500]
        self.pk, self._state.adding = earlier.pk, False
        self.original_arguments, self.created_at = earlier.original_arguments, earlier.created_at
        self.save()
        return self

    def decide(self, status: Status, **fields: Any) -> bool:
        """Close it; false where that has been done already."""
        waiting = Approval.objects.filter(pk=self.pk, status=self.Status.WAITING)
        fields |= {"status": status, "decided_at": timezone.now()}
        if not waiting.update(**fields):
            return False
        for name, value in fields.items():
            setattr(self, name, value)
        return True


class ToolGrantQuerySet(models.QuerySet["ToolGrant"]):
    def owned_by(self, user: Any) -> Self:
        """Grants that this person has given, for all conversations or for one that is there."""
        return self.filter(user=user, conversation__deleted_at=None)

    def in_force(self) -> Self:
        """Grants that their person has not taken back."""
        return self.filter(revoked_at=None)

    def covering(self, user: User, tool: MCPTool, conversation: Conversation) -> Self:
        """Grants by which this person's call needs no further word, the tool being as it is."""
        return self.in_force().filter(
            Q(conversation=None) | Q(conversation=conversation),
            user_id=user.pk,
            tool=tool,
            definition_hash=tool.definition_hash,
        )


class ToolGrant(models.Model):
    """A person's word that a tool need not ask again, in one conversation or always.

    It holds for one version of the tool, and until it is revoked.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tool_grants"
    )
    tool = models.ForeignKey(MCPTool, on_delete=models.CASCADE, related_name="grants")
    definition_hash = models.CharField(max_length=64, editable=False)
    conversation = models.ForeignKey(
        Conversation,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="tool_grants",
        help_text=_("Empty: in all of them."),
    )
    approval = models.ForeignKey(
        Approval, on_delete=models.SET_NULL, null=True, blank=True, related_name="grants"
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    objects = ToolGrantQuerySet.as_manager()

    class Meta:
        verbose_name = _("tool grant")
        verbose_name_plural = _("tool grants")
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.tool} ({self.user})"


class QuestionQuerySet(models.QuerySet["Question"]):
    def waiting(self) -> Self:
        """Questions that nobody has answered, and that may still be."""
        return self.filter(status=Question.Status.WAITING, expires_at__gt=timezone.now())

    def overdue(self) -> Self:
        """Questions that nobody answered in time."""
        return self.filter(status=Question.Status.WAITING, expires_at__lte=timezone.now())

    def withdraw(self) -> int:
        """Close those that nobody has answered, or need answer any more; returns how many."""
        return self.filter(status=Question.Status.WAITING).update(
            status=Question.Status.CANCELLED, answered_at=timezone.now()
        )

    def owned_by(self, user: Any) -> Self:
        """Questions to this person."""
        return self.filter(
            call__turn__conversation__user=user, call__turn__conversation__deleted_at=None
        )


class Question(models.Model):
    """What a tool's server wants to know from a person before it goes on.

    Source: MCP 2026-07-28, client/elicitation.
    """

    class Mode(models.TextChoices):
        FORM = "form", _("Form")
        URL = "url", _("Page of the server")

    class Status(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        ACCEPTED = "accept", _("Answered")
        DECLINED = "decline", _("Declined")
        CANCELLED = "cancel", _("Dismissed")
        EXPIRED = "expired", _("Expired")

    HELD = 0
    """The round of a question for which its server holds the call."""

    call = models.ForeignKey(ToolCall, on_delete=models.CASCADE, related_name="questions")
    round = models.PositiveSmallIntegerField(
        default=1, help_text=_("A server may ask again after it has had its answers.")
    )
    key = ExactCharField(max_length=200, help_text=_("The server's own name for it."))
    mode = models.CharField(_("mode"), max_length=4, choices=Mode.choices, default=Mode.FORM)
    message = models.TextField(_("message"), blank=True, default="")
    schema = models.JSONField(_("schema"), blank=True, default=dict)
    url = models.CharField(_("address"), max_length=2000, blank=True, default="")
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.WAITING
    )
    content = models.JSONField(_("answer"), null=True, blank=True, default=None)
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    answered_at = models.DateTimeField(_("answered"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires"))
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    objects = QuestionQuerySet.as_manager()

    class Meta:
        verbose_name = _("question")
        verbose_name_plural = _("questions")
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["call", "round", "key"], name="chat_question_once")
        ]
        indexes = [models.Index(fields=["status", "expires_at"], name="chat_question_waiting")]

    def __str__(self) -> str:
        return self.message[:60] or self.key

    def as_answer(self) -> InputAnswer:
        """What its server is told; nobody's answer in time is a dismissal."""
        if self.status == self.Status.ACCEPTED:
            return InputAnswer("accept", self.content)
        return InputAnswer("decline" if self.status == self.Status.DECLINED else "cancel")

    def answer(self, status: Status, **fields: Any) -> bool:
        """Close it; false where that has been done already."""
        waiting = Question.objects.filter(pk=self.pk, status=self.Status.WAITING)
        fields |= {"status": status, "answered_at": timezone.now()}
        if not waiting.update(**fields):
            return False
        for name, value in fields.items():
            setattr(self, name, value)
        return True
