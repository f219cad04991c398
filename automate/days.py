"""Moments and days on the person's clock; where `USE_TZ` is off, the site's times have no zone."""

from datetime import date, datetime

from django.utils import timezone


def local_time(moment: datetime) -> datetime:
    """The moment as the person's clock shows it."""
    return timezone.localtime(moment) if timezone.is_aware(moment) else moment


def local_day(moment: datetime) -> date:
    """The day of the moment on the person's clock."""
    return local_time(moment).date()
