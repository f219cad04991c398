"""What an operator is told about who may call a tool, in words."""

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext

from automate.conf import APPROVAL_DEFAULTS, conf
from automate.models import MCPTool, ToolRule
from automate.policy_checks import unknown_permissions

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

MAX_RULES = 20
"""How many rules a tool's page lists beside its own."""


def default_in_words(tool: MCPTool) -> str:
    """What happens to a call of which no rule says anything, and why."""
    default = conf().APPROVAL_DEFAULT
    if default not in APPROVAL_DEFAULTS or default == "deny":
        return gettext("Denied: the site denies what no rule allows.")
    if tool.needs_second_person:
        return gettext("Asks: a second person must approve each call.")
    if default == "ask":
        return gettext("Asks: the site asks before every call.")
    if default == "allow" and tool.effect == MCPTool.Effect.DESTRUCTIVE:
        return gettext("Asks: you said that it destroys something.")
    if default == "allow":
        return gettext("Allowed: the site allows what no rule forbids.")
    return _by_effect(tool)


def risk_in_words(tool: MCPTool) -> str:
    """What a tool does, and whose word that is."""
    risk = MCPTool.Risk(tool.risk)
    if risk == MCPTool.Risk.UNSAID:
        return str(risk.label)
    if tool.effect:
        return gettext("%(what)s: you said so") % {"what": tool.get_effect_display()}
    return gettext("%(what)s: its server says so") % {"what": risk.label}


def rules_beside(tool: MCPTool, site: str) -> str:
    """Rules for the tool's server or for all tools, as links."""
    wider = Q(server=tool.server_id) | Q(server=None, tool=None)
    rules = ToolRule.objects.filter(wider).select_related("server", "group", "user")
    listed = list(rules[: MAX_RULES + 1])
    if not listed:
        return "-"
    items = [
        (reverse("admin:automate_toolrule_change", args=[rule.pk], current_app=site), rule)
        for rule in listed[:MAX_RULES]
    ]
    more = "…" if len(listed) > MAX_RULES else ""
    return format_html(
        "{}{}", format_html_join(mark_safe("<br>"), '<a href="{}">{}</a>', items), more
    )


def warn_of_permission(admin: "ModelAdmin[Any]", request: HttpRequest, form: Any) -> None:
    """Say so where nobody can be given the permission that was typed in."""
    required = form.cleaned_data.get("required_permission")
    if "required_permission" not in form.changed_data or not required:
        return
    if unknown_permissions({required}):
        words = gettext(
            "There is no permission “%(name)s”: only superusers may use it until there is."
        )
        admin.message_user(request, words % {"name": required}, messages.WARNING)


def _by_effect(tool: MCPTool) -> str:
    if tool.effect == MCPTool.Effect.READ_ONLY:
        return gettext("Allowed: you said that it only reads.")
    if tool.effect:
        return gettext("Asks: you said that it does more than read.")
    if tool.reads_only:
        return gettext("Allowed: its server says that it only reads.")
    if tool.annotations.get("readOnlyHint") is False:
        return gettext("Asks: its server says that it does more than read.")
    return gettext("Asks: nobody said that it only reads.")
