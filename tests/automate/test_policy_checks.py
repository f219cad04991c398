"""What `manage.py check` says about who may call what."""

from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import override_settings

from automate.models import MCPServer, ToolRule
from automate.policy_checks import check_policy, check_rules

from .policy_making import add_tool


def decide(user: Any, tool: Any, arguments: Any) -> None: ...


def takes_too_little(user: Any) -> None: ...


no_function = 5


def said(**settings: Any) -> list[tuple[str | None, str]]:
    with override_settings(AUTOMATE=settings):
        return [(each.id, each.msg) for each in check_policy()]


@pytest.mark.parametrize("default", ["annotations", "allow", "ask", "deny"])
def test_good_settings_are_not_spoken_of(default: str) -> None:
    assert said(APPROVAL_DEFAULT=default, POLICY=f"{__name__}.decide") == said() == []


def test_an_unknown_default_is_an_error() -> None:
    [(identifier, message)] = said(APPROVAL_DEFAULT="alow")

    assert (identifier, "'alow'" in message) == ("automate.E012", True)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no.such.module", "cannot be imported (ModuleNotFoundError)"),
        ("decide", "cannot be imported"),
        (f"{__name__}.nothing", "cannot be imported"),
        (f"{__name__}.no_function", "is no function"),
        (f"{__name__}.takes_too_little", "does not take"),
    ],
)
def test_a_policy_that_cannot_be_called_is_an_error(path: str, words: str) -> None:
    [(identifier, message)] = said(POLICY=path)

    assert (identifier, repr(path) in message, words in message) == ("automate.E013", True, True)


@pytest.mark.django_db
def test_a_rule_whose_schema_is_broken_is_an_error() -> None:
    ToolRule.objects.create(decision="deny", argument_schema={"$ref": "#/nowhere"})
    ToolRule.objects.create(decision="deny", argument_schema={"required": ["amount"]})
    ToolRule.objects.create(decision="deny")

    [error] = check_rules(databases=["default"])
    assert (error.id, "points at" in error.msg) == ("automate.E014", True)
    with pytest.raises(SystemCheckError, match="E014"):
        call_command("check", "--database", "default")
    assert check_rules() == []


@pytest.mark.django_db
def test_a_permission_that_nobody_can_be_given_is_warned_of() -> None:
    add_tool(required_permission="auth.view_user")
    add_tool("search", required_permission="auth.view_nothing")
    add_tool("fetch", required_permission="automate.view_user")
    MCPServer.objects.update(required_permission="orders.refund_order")

    warnings = check_rules(databases=["default"])

    assert {each.id for each in warnings} == {"automate.W005"}
    assert [each.msg.rsplit("'", 2)[1] for each in warnings] == [
        "orders.refund_order",
        "automate.view_user",
        "auth.view_nothing",
    ]
