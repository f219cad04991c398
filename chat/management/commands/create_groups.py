"""Make the three groups of people who look after tools, or bring them up to date."""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models import Q

GROUPS: dict[str, tuple[str, ...]] = {
    "Tool operators": (
        *("automate.view_mcpserver", "automate.add_mcpserver", "automate.change_mcpserver"),
        *("automate.delete_mcpserver", "automate.view_mcptool", "automate.change_mcptool"),
        *("automate.view_mcptoolversion", "automate.view_mcpprompt", "automate.change_mcpprompt"),
        *("automate.view_mcpresource", "automate.change_mcpresource", "automate.view_toolrule"),
        *("automate.add_toolrule", "automate.change_toolrule", "automate.delete_toolrule"),
        *("automate_chat.view_dashboard", "automate_chat.try_tool"),
    ),
    "Tool reviewers": (
        *("automate.view_mcpserver", "automate.view_mcptool", "automate.view_mcptoolversion"),
        *("automate.view_mcpprompt", "automate.view_mcpresource", "automate.view_toolrule"),
        "automate.review_mcptool",
    ),
    "Tool auditors": (
        *("automate.view_mcpserver", "automate.view_mcptool", "automate.view_mcptoolversion"),
        *("automate.view_mcpprompt", "automate.view_mcpresource", "automate.view_toolrule"),
        *("automate_chat.view_callrecord", "automate_chat.export_callrecord"),
        *("automate_chat.view_dailyusage", "automate_chat.view_dashboard"),
    ),
}
"""Their permissions. Nobody can both bring a tool in and say that it is good."""


class Command(BaseCommand):
    help = (
        "Makes the groups “Tool operators”, “Tool reviewers” and “Tool auditors” with the "
        "permissions that docs/permissions.md lists. Run again, it adds what they lack and takes "
        "nothing away; people and other groups stay as they are."
    )

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        for name, wanted in GROUPS.items():
            group, is_new = Group.objects.get_or_create(name=name)
            permissions = _permissions(wanted)
            added = set(permissions) - set(group.permissions.all())
            group.permissions.add(*added)
            state = "made" if is_new else "was there"
            self.stdout.write(f"{name}: {state}, {len(added)} permissions added.")


def _permissions(wanted: tuple[str, ...]) -> list[Permission]:
    each = (name.split(".") for name in wanted)
    either = Q()
    for app, codename in each:
        either |= Q(content_type__app_label=app, codename=codename)
    return list(Permission.objects.filter(either))
