"""A site's own function that decides."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from automate.catalog import catalog_for
from automate.models import MCPTool
from automate.policy import Decision, Policy, Verdict

from .making import add_server
from .policy_making import add_tool, decision, rule, shown

ALLOW, ASK, DENY = Decision.ALLOW, Decision.ASK, Decision.DENY
pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    return User.objects.create_user("ann")


@pytest.fixture
def tool() -> MCPTool:
    """One of which its server says nothing."""
    return add_tool()


class Site:
    """A site's module with a policy."""

    def __init__(self) -> None:
        self.answer: Any = None
        self.asked: list[tuple[Any, Any]] = []

    def decide(self, user: Any, tool: MCPTool, arguments: Any) -> Any:
        self.asked.append((tool.name, arguments))
        return self.answer(user, tool, arguments) if callable(self.answer) else self.answer


SITE = Site()
decide = SITE.decide
not_callable = 5


@pytest.fixture
def site(settings: Any) -> Site:
    SITE.__init__()  # type: ignore[misc]
    settings.AUTOMATE = {"POLICY": f"{__name__}.decide"}
    return SITE


@pytest.mark.parametrize("answer", ["deny", DENY, Verdict(DENY, "No.")])
def test_a_hook_that_denies_wins_and_hides_the_tool(
    person: User, tool: MCPTool, site: Site, answer: Any
) -> None:
    rule(ALLOW, tool=tool)
    site.answer = answer

    assert (decision(person, tool), shown(person)) == (DENY, set())


def test_a_hook_without_an_opinion_changes_nothing(person: User, site: Site) -> None:
    assert decision(person, add_tool("search", effect="read_only")) == ALLOW
    assert decision(person, add_tool()) == ASK
    assert shown(person) == {"search", "refund"}


def test_a_hook_may_ask_or_allow_and_a_rule_may_be_stricter(
    person: User, tool: MCPTool, site: Site
) -> None:
    site.answer = "allow"
    assert decision(person, tool) == ALLOW
    rule(ASK, tool=tool)
    assert decision(person, tool) == ASK
    site.answer = Verdict(DENY, "Closed on Sundays.")
    assert Policy(person).verdict(tool, {}).why == "Closed on Sundays."


def test_a_hook_is_asked_of_the_tool_as_a_whole_and_of_the_arguments(
    person: User, tool: MCPTool, site: Site
) -> None:
    site.answer = lambda user, tool, arguments: (
        "deny" if arguments is not None and arguments["amount"] > 500 else None
    )

    assert (shown(person), decision(person, tool, amount=1)) == ({"refund"}, ASK)
    assert decision(person, tool, amount=501) == DENY
    assert ("refund", None) in site.asked
    assert ("refund", {"amount": 501}) in site.asked


def test_what_a_hook_hides_is_denied_whatever_it_says_of_the_arguments(
    person: User, tool: MCPTool, site: Site
) -> None:
    site.answer = lambda user, tool, arguments: "deny" if arguments is None else "allow"

    assert (shown(person), decision(person, tool, amount=1)) == (set(), DENY)


def test_where_the_default_is_to_deny_a_hook_may_open_a_tool(
    person: User, tool: MCPTool, site: Site, settings: Any
) -> None:
    settings.AUTOMATE = {**settings.AUTOMATE, "APPROVAL_DEFAULT": "deny"}
    add_tool("search")
    site.answer = lambda user, tool, arguments: "allow" if tool.name == "refund" else None

    assert (shown(person), decision(person, tool)) == ({"refund"}, ALLOW)


def failing(*arguments: Any) -> Any:
    raise RuntimeError("secret-of-the-site")


@pytest.mark.parametrize(
    "answer",
    [failing, "yes", True, 1, ["allow"], Verdict("maybe"), Decision.ONLY, object(), b"allow"],  # type: ignore[arg-type]
)
def test_a_hook_that_fails_or_answers_rubbish_denies_and_is_logged_once(
    person: User, tool: MCPTool, site: Site, caplog: Any, answer: Any
) -> None:
    add_tool("search")
    site.answer = answer

    verdict = Policy(person).verdict(tool, {})
    assert verdict == Verdict(DENY, "This site could not decide on it.")
    caplog.clear()
    assert shown(person) == set()
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize("path", ["no.such.thing", f"{__name__}.not_callable", "x", "a..b"])
def test_a_hook_that_cannot_be_called_denies(
    person: User, tool: MCPTool, settings: Any, path: str
) -> None:
    settings.AUTOMATE = {"POLICY": path}

    assert (decision(person, tool), shown(person)) == (DENY, set())


def test_a_hook_cannot_change_what_is_sent(person: User, tool: MCPTool, site: Site) -> None:
    site.answer = lambda user, tool, arguments: arguments and arguments["order"].clear()
    arguments = {"order": {"amount": 5}}

    Policy(person).verdict(tool, arguments)

    assert arguments == {"order": {"amount": 5}}


def test_a_hook_costs_the_same_queries_for_few_tools_and_for_many(
    person: User, tool: MCPTool, site: Site
) -> None:
    site.answer = lambda user, tool, arguments: (
        "deny" if tool.server.slug == "x" or tool.reads_only or tool.description else None
    )

    def cost() -> int:
        catalog_for(person)
        with CaptureQueriesContext(connection) as queries:
            catalog_for(person)
        return len(queries)

    few = cost()
    for number in range(20):
        add_tool(f"tool_{number}", server=add_server(f"server{number}"))

    assert few == 4
    assert cost() == few
