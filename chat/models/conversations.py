"""Conversations, what was said in them, and summaries of what was said long ago."""

import uuid
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from automate.policy import Scope
from chat.left_out import scope_of


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def owned_by(self, user: Any) -> Self:
        """Conversations of this person; deleted ones and everybody else's do not exist for them."""
        return self.filter(user=user, deleted_at=None)

    def restorable_by(self, user: Any) -> Self:
        """Conversations that this person has deleted, as long as they are still there."""
        return self.filter(user=user, deleted_at__isnull=False)

    def current(self) -> Self:
        """Conversations that nobody has put away."""
        return self.filter(archived_at=None)

    def archived(self) -> Self:
        """Conversations that were put away, the last one first."""
        return self.filter(archived_at__isnull=False).order_by("-archived_at")


class Conversation(models.Model):
    """A person's thread of messages with the assistant."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="conversations",
        db_index=False,
    )
    title = models.CharField(_("title"), max_length=120, blank=True, default="")
    titled_at = models.DateTimeField(
        _("titled"),
        null=True,
        blank=True,
        help_text=_("When its person gave it this title; empty: it was made from what was said."),
    )
    head = models.ForeignKey(
        "automate_chat.Turn",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        help_text=_("The last turn of the branch that is shown."),
    )
    summary = models.OneToOneField(
        "automate_chat.Summary",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        help_text=_("The one that was made last, of whichever branch."),
    )
    model = models.CharField(
        _("model"),
        max_length=100,
        blank=True,
        default="",
        help_text=_("The one that was chosen last; empty for the site's default."),
    )
    tools_left_out = models.JSONField(
        default=dict,
        blank=True,
        editable=False,
        help_text=_("Keys of the `servers` and `tools` that its person does not want here."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now)
    pinned_at = models.DateTimeField(
        _("pinned"), null=True, blank=True, help_text=_("Since when it stands first in the list.")
    )
    archived_at = models.DateTimeField(
        _("archived"), null=True, blank=True, help_text=_("Since when it is not in the list.")
    )
    deleted_at = models.DateTimeField(
        _("deleted"),
        null=True,
        blank=True,
        db_index=True,
        help_text=_("Since when it does not exist for its person; a sweep removes it later."),
    )

    objects = ConversationQuerySet.as_manager()

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        ordering = ["-updated_at"]
        indexes = [
            models.Index(
                fields=["user", "archived_at", "-updated_at"], name="chat_conversation_recent"
            ),
            models.Index(fields=["user", "pinned_at"], name="chat_conversation_pinned"),
        ]

    def __str__(self) -> str:
        return self.title or str(_("New conversation"))

    @property
    def left_out(self) -> Scope:
        """The servers and tools that its person does not want here."""
        return scope_of(self.tools_left_out)


class Message(models.Model):
    """One entry of a conversation: what a person wrote, or what the model answered."""

    class Role(models.TextChoices):
        USER = "user", _("You")
        ASSISTANT = "assistant", _("Assistant")

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="messages"
    )
    turn = models.ForeignKey(
        "automate_chat.Turn", on_delete=models.CASCADE, related_name="messages"
    )
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)
    content = models.TextField(_("content"), blank=True, default="")
    interrupted = models.BooleanField(
        _("interrupted"), default=False, help_text=_("The model's text ended before its end.")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.content[:60]


class Summary(models.Model):
    """What a conversation held up to one of its messages, in the model's words.

    The model is shown it in place of those messages, which stay as they are.
    """

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="summaries"
    )
    last_message = models.OneToOneField(
        Message,
        on_delete=models.CASCADE,
        related_name="summary",
        help_text=_("The last one that it tells of."),
    )
    text = models.TextField(_("text"))
    model = models.CharField(_("model"), max_length=100, default="default")
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    class Meta:
        verbose_name = _("summary")
        verbose_name_plural = _("summaries")
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.text[:60]
