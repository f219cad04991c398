"""What an operator has said of a tool's definition."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Review(models.TextChoices):
    """Whether somebody has looked at a tool's definition as it stands."""

    APPROVED = "approved", _("Approved")
    NEW = "new", _("New, awaiting review")
    CHANGED = "changed", _("Changed, awaiting review")
    REJECTED = "rejected", _("Rejected, until it changes")


WAITING = (Review.NEW, Review.CHANGED)
"""What somebody has still to look at."""
