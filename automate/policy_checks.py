"""What `manage.py check` says about who may call what.

automate.E012  APPROVAL_DEFAULT is none that we know
automate.E013  POLICY is no function that can be called
automate.E014  a rule cannot be held against arguments as it stands (`check --database default`)
automate.W005  a required permission that nobody can be given (`check --database default`)
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth.models import Permission
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections
from django.utils.module_loading import import_string

from .conf import APPROVAL_DEFAULTS
from .models import MCPServer, MCPTool, ToolRule


@register(Tags.compatibility)
def check_policy(
    app_configs: Sequence[AppConfig] | None = None, **options: Any
) -> list[CheckMessage]:
    """Whether the settings on calls can be used as they stand."""
    chosen = getattr(settings, "AUTOMATE", {})
    if not isinstance(chosen, Mapping):
        return []
    found: list[CheckMessage] = []
    default, path = chosen.get("APPROVAL_DEFAULT", "annotations"), chosen.get("POLICY", "")
    if isinstance(default, str) and default not in APPROVAL_DEFAULTS:
        found.append(
            Error(
                f"AUTOMATE['APPROVAL_DEFAULT'] is {default!r}, which is none that we know, so "
                "every call that no rule allows is denied.",
                hint=f"Known are: {', '.join(APPROVAL_DEFAULTS)}.",
                id="automate.E012",
            )
        )
    if isinstance(path, str) and path and (problem := _problem_of(path)):
        found.append(
            Error(
                f"AUTOMATE['POLICY'] is {path!r}, {problem}. Every call is denied.",
                hint="Name a function decide(user, tool, arguments) by its dotted path, as in "
                "'orders.policy.decide'.",
                id="automate.E013",
            )
        )
    return found


@register(Tags.database)
def check_rules(
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **options: Any,
) -> list[CheckMessage]:
    """Whether what operators wrote into rules and permissions means anything."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        tables = connections[alias].introspection.table_names()
        if ToolRule._meta.db_table in tables:
            found += _broken_rules(alias)
        if MCPTool._meta.db_table in tables and Permission._meta.db_table in tables:
            found += _unknown_permissions(alias)
    return found


def unknown_permissions(wanted: set[str], using: str | None = None) -> set[str]:
    """Those of these permissions, as `app_label.codename`, that no row stands for."""
    codenames = {permission.partition(".")[2] for permission in wanted}
    rows = Permission.objects.using(using).filter(codename__in=codenames)
    known = rows.values_list("content_type__app_label", "codename")
    return wanted - {f"{label}.{codename}" for label, codename in known}


def _problem_of(path: str) -> str:
    """Why the function cannot be called with three arguments; empty where it can."""
    try:
        decide = import_string(path)
    except Exception as exc:  # whatever the site's own module does when it is imported
        return f"which cannot be imported ({type(exc).__name__})"
    if not callable(decide):
        return "which is no function"
    try:
        inspect.signature(decide).bind("user", "tool", "arguments")
    except TypeError:
        return "which does not take a user, a tool and arguments"
    except ValueError:
        pass  # of something built in, which nobody can know before it is called
    return ""


def _broken_rules(alias: str) -> Iterator[CheckMessage]:
    rules = ToolRule.objects.using(alias).exclude(argument_schema__isnull=True)
    for rule in rules.select_related("tool", "server", "user", "group"):
        for problem in rule.argument_problems():
            yield Error(
                f"The tool rule {rule.pk} ({rule}) cannot be held against arguments as it stands. "
                f"{problem}",
                hint="Edit it in the admin.",
                id="automate.E014",
            )


def _unknown_permissions(alias: str) -> Iterator[CheckMessage]:
    required = {
        f"the {model._meta.verbose_name} {row.pk} ({row})": row.required_permission
        for model in (MCPServer, MCPTool)
        for row in model._base_manager.using(alias).exclude(required_permission="")
    }
    unknown = unknown_permissions(set(required.values()), alias)
    for which, permission in required.items():
        if permission in unknown:
            yield Warning(
                f"Nobody but superusers may use {which}: there is no permission {permission!r}.",
                hint="Correct it in the admin; 'manage.py migrate' makes those of models.",
                id="automate.W005",
            )
