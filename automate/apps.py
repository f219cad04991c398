from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AutomateConfig(AppConfig):
    name = "automate"
    verbose_name = _("MCP servers and tools")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, deploy_checks, policy_checks  # noqa: F401 (system checks)
