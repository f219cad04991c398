"""Files that people send along with their messages."""

from typing import Any, Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from automate_llm.content import RASTER_TYPES
from chat.files import StoredFile

from .conversations import Message


class AttachmentQuerySet(models.QuerySet["Attachment"]):
    def owned_by(self, user: Any) -> Self:
        """Files in this person's conversations."""
        return self.filter(message__conversation__user=user, message__conversation__deleted_at=None)


class Attachment(models.Model):
    """One file of one message: an image, or text, which the model is shown as it stands here."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="attachments")
    file = models.ForeignKey(StoredFile, on_delete=models.PROTECT, related_name="attachments")
    name = models.CharField(_("name"), max_length=100, help_text=_("As its person calls it."))
    media_type = models.CharField(
        max_length=100, help_text=_("By what it is served; found in its bytes, not in its name.")
    )
    text = models.TextField(
        _("text"), blank=True, default="", help_text=_("Cut at a limit; empty for an image.")
    )
    left_out = models.PositiveIntegerField(
        _("characters left out"), default=0, help_text=_("Of the text, at its end.")
    )

    objects = AttachmentQuerySet.as_manager()

    class Meta:
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_image(self) -> bool:
        """Whether a page may show it; anything else is for download only."""
        return self.media_type in RASTER_TYPES
