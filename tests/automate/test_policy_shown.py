"""Whom a tool is shown to: permissions, rules that hide, and what that costs."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from automate.catalog import catalog_for, tool_for_call
from automate.models import MCPPrompt, MCPServer, MCPTool
from automate.policy import Decision, Policy

from .making import add_server
from .policy_making import ABOVE_500, UP_TO_50, add_tool, fresh, rule, shown

ALLOW, ASK, DENY = Decision.ALLOW, Decision.ASK, Decision.DENY
pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    return User.objects.create_user("ann")


@pytest.fixture
def tool() -> MCPTool:
    """One of which its server says nothing."""
    return add_tool()


def grant(to: Any, codename: str = "view_user") -> None:
    permission = Permission.objects.get(codename=codename)
    (to.user_permissions if isinstance(to, User) else to.permissions).add(permission)


@pytest.mark.parametrize("where", ["tool", "server"])
@pytest.mark.parametrize("how", ["nothing", "user", "group", "superuser"])
def test_a_required_permission_is_had_by_user_group_or_superuser(
    person: User, where: str, how: str
) -> None:
    tool = add_tool()
    target = tool if where == "tool" else tool.server
    type(target).objects.update(required_permission="auth.view_user")
    if how == "user":
        grant(person)
    elif how == "group":
        person.groups.add(Group.objects.create(name="clerks"))
        grant(person.groups.get())
    User.objects.update(is_superuser=how == "superuser")
    person = fresh(person)
    has = how != "nothing"

    assert bool(shown(person)) is has
    assert bool(tool_for_call(person, "shop__refund")) is has
    assert MCPTool.objects.usable_by(person).exists() is has
    assert MCPTool.objects.get().usable_by(person) is has


def test_both_permissions_must_be_had(person: User) -> None:
    add_tool(required_permission="auth.view_group")
    add_tool("search")
    MCPServer.objects.update(required_permission="auth.view_user")

    grant(person)
    assert shown(fresh(person)) == {"search"}
    grant(person, "view_group")
    assert shown(fresh(person)) == {"refund", "search"}


def test_what_else_a_server_offers_takes_its_permission_too(person: User) -> None:
    MCPPrompt.objects.create(
        server=add_server(required_permission="auth.view_user"), name="greet", enabled=True
    )

    assert not MCPPrompt.objects.usable_by(person).exists()
    grant(person)
    assert MCPPrompt.objects.usable_by(fresh(person)).exists()


def test_a_tool_that_is_denied_as_a_whole_is_not_shown(person: User) -> None:
    for name in ("search", "refund", "limited"):
        add_tool(name)
    add_tool("other", server=add_server("other"))
    rule(DENY, tool=MCPTool.objects.get(name="refund"), user=person)
    rule(DENY, ABOVE_500, tool=MCPTool.objects.get(name="limited"))
    rule(DENY, server=MCPServer.objects.get(slug="other"))

    assert shown(person) == {"search", "limited"}
    assert shown(User.objects.create_user("bob")) == {"search", "limited", "refund"}
    rule(DENY)
    assert shown(person) == set()


def test_the_same_tools_make_the_same_bytes_whoever_sees_them(person: User) -> None:
    refund = add_tool()
    add_tool("search")
    rule(DENY, tool=refund, user=person)

    first = catalog_for(person).definitions

    assert catalog_for(person).definitions is first
    refund.delete()
    assert catalog_for(User.objects.create_user("bob")).definitions == first


def test_the_number_of_queries_grows_neither_with_rules_nor_with_tools(person: User) -> None:
    def cost() -> tuple[int, int]:
        someone = fresh(person)
        catalog_for(someone)
        someone = fresh(person)
        with CaptureQueriesContext(connection) as shown:
            catalog_for(someone)
        tool = tool_for_call(someone, "shop__tool_0")
        assert tool is not None
        with CaptureQueriesContext(connection) as decided:
            Policy(someone).verdict(tool, {"amount": 1})
        return len(shown), len(decided)

    def add(numbers: range) -> None:
        for number in numbers:
            tool = add_tool(f"tool_{number}", required_permission="auth.view_user")
            rule(ASK, UP_TO_50, tool=tool, group=group)
            rule(ASK, tool=tool)

    group = Group.objects.create(name="clerks")
    grant(group)
    person.groups.add(group)
    add(range(2))
    few = cost()
    add(range(2, 30))

    # Tools, rules, groups; the person's permissions and those of the groups.
    assert few == (5, 2)
    assert cost() == few
