"""Conversations that their persons show to whoever has a link."""

import uuid
from typing import Any, Self

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .conversations import Conversation


def _signer() -> Signer:
    return Signer(salt="automate_chat.share")


class ShareQuerySet(models.QuerySet["Share"]):
    def owned_by(self, user: Any) -> Self:
        """Links that this person made, to conversations that are there."""
        return self.filter(user=user, conversation__deleted_at=None)

    def in_force(self) -> Self:
        """Links that still lead to something, as far as rows can say."""
        return self.filter(revoked_at=None, conversation__deleted_at=None, user__is_active=True)


class Share(models.Model):
    """A link that shows a conversation, as it was when the link was made, to whoever has it.

    The link's secret is a signature of this row's id under `SECRET_KEY`: it can be shown to its
    owner again, and whoever reads the database alone cannot make it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="shares"
    )
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="shares")
    title = models.CharField(
        _("title"), max_length=120, blank=True, default="", help_text=_("As it was then.")
    )
    turns = models.JSONField(
        _("turns"),
        default=list,
        editable=False,
        help_text=_("The ids of those it shows, in order."),
    )
    with_calls = models.BooleanField(
        _("with tool calls"), default=False, help_text=_("Their arguments and results are shown.")
    )
    with_files = models.BooleanField(
        _("with files"), default=False, help_text=_("Images and files are shown.")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    objects = ShareQuerySet.as_manager()

    class Meta:
        verbose_name = _("shared link")
        verbose_name_plural = _("shared links")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.title or str(_("New conversation"))

    @property
    def signature(self) -> str:
        """What makes its link one that nobody can guess."""
        return _signer().signature(str(self.pk))

    def is_signed_by(self, signature: str) -> bool:
        """Whether a link has its signature; a key that was changed is asked, too."""
        try:
            _signer().unsign(f"{self.pk}:{signature}")
        except BadSignature:
            return False
        return True
