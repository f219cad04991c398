from importlib.util import find_spec

from django.apps import AppConfig
from django.conf import settings


class SiteConfig(AppConfig):
    name = "config"
    label = "automate_site"
    verbose_name = "The runnable site"

    def ready(self) -> None:
        """Have the web process know the Celery app; `check` says so where Celery is missing."""
        if settings.AUTOMATE.get("EXECUTOR") == "celery" and find_spec("celery"):
            from . import celery  # noqa: F401  its app
