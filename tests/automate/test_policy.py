"""What rules, defaults and limits on arguments come to."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError

from automate.models import MCPTool, ToolRule
from automate.policy import Decision, Policy, Verdict

from .making import add_server
from .policy_making import ABOVE_50, ABOVE_500, UP_TO_50, add_tool, decision, rule, shown

ALLOW, ASK, DENY = Decision.ALLOW, Decision.ASK, Decision.DENY
DOCUMENT = Path(__file__).parents[2] / "docs/policy.md"
pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    return User.objects.create_user("ann")


@pytest.fixture
def tool() -> MCPTool:
    """One of which its server says nothing."""
    return add_tool()


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ([ALLOW], ALLOW),
        ([ASK], ASK),
        ([DENY], DENY),
        ([ALLOW, ASK], ASK),
        ([ASK, ALLOW], ASK),
        ([ALLOW, DENY], DENY),
        ([DENY, ASK, ALLOW], DENY),
    ],
)
def test_deny_wins_over_ask_and_ask_over_allow(
    person: User, tool: MCPTool, said: list[Decision], outcome: Decision
) -> None:
    for each in said:
        rule(each, tool=tool)

    assert decision(person, tool) == outcome


def test_what_is_said_of_all_tools_and_of_a_server_counts_as_what_is_said_of_the_tool(
    person: User, tool: MCPTool
) -> None:
    elsewhere = add_tool("search", server=add_server("other"))
    rule(ALLOW)
    rule(ASK, server=tool.server)

    assert (decision(person, tool), decision(person, elsewhere)) == (ASK, ALLOW)


def test_a_rule_for_a_group_is_for_its_members(person: User, tool: MCPTool) -> None:
    clerks, others = Group.objects.create(name="clerks"), Group.objects.create(name="others")
    person.groups.add(clerks)
    rule(ALLOW, tool=tool, group=clerks)
    rule(DENY, tool=tool, group=others)

    assert decision(person, tool) == ALLOW
    assert decision(User.objects.create_user("bob"), tool) == ASK


def test_a_rule_for_a_person_is_for_nobody_else(person: User, tool: MCPTool) -> None:
    rule(DENY, tool=tool, user=person)

    assert decision(person, tool) == DENY
    assert decision(User.objects.create_user("bob"), tool) == ASK


@pytest.mark.parametrize(
    ("effect", "annotations", "outcome"),
    [
        ("", {}, ASK),
        ("", {"readOnlyHint": True}, ALLOW),
        ("", {"readOnlyHint": False}, ASK),
        ("", {"readOnlyHint": "true"}, ASK),
        ("read_only", {}, ALLOW),
        ("read_only", {"readOnlyHint": False}, ALLOW),
        ("write", {"readOnlyHint": True}, ASK),
        ("destructive", {"readOnlyHint": True}, ASK),
        ("idempotent", {"readOnlyHint": True}, ASK),
    ],
)
def test_by_default_a_tool_that_only_reads_is_called_and_the_operators_word_outranks_the_servers(
    person: User, effect: str, annotations: dict[str, Any], outcome: Decision
) -> None:
    assert decision(person, add_tool(effect=effect, annotations=annotations)) == outcome


@pytest.mark.parametrize("default", ["allow", "ask", "deny"])
def test_another_default_treats_all_tools_alike(
    person: User, tool: MCPTool, settings: Any, default: str
) -> None:
    settings.AUTOMATE = {"APPROVAL_DEFAULT": default}
    reads = add_tool("search", effect="read_only")

    assert decision(person, tool) == decision(person, reads) == default


def test_a_default_that_is_none_denies(person: User, tool: MCPTool, settings: Any) -> None:
    settings.AUTOMATE = {"APPROVAL_DEFAULT": "alow"}

    assert (decision(person, tool), shown(person)) == (DENY, set())


def test_where_the_default_is_to_deny_only_what_a_rule_opens_is_shown(
    person: User, settings: Any
) -> None:
    settings.AUTOMATE = {"APPROVAL_DEFAULT": "deny"}
    add_tool("closed")
    rule(ALLOW, tool=add_tool("opened"))
    limited = add_tool("limited", needs_second_person=True)
    rule(ALLOW, {"properties": {"amount": {"const": 1}}, "required": ["amount"]}, tool=limited)

    assert shown(person) == {"opened", "limited"}
    assert decision(person, limited, amount=1) == ASK
    assert decision(person, limited, amount=2) == DENY


def test_a_tool_that_needs_a_second_person_asks_where_it_would_be_allowed(person: User) -> None:
    tool = add_tool(effect="read_only", needs_second_person=True)
    rule(ALLOW, tool=tool)

    assert Policy(person).verdict(tool, {}) == Verdict(
        ASK, "A second person must approve this tool."
    )
    rule(DENY, tool=tool)
    assert decision(person, tool) == DENY


def test_the_note_of_the_rule_that_wins_is_the_reason(person: User, tool: MCPTool) -> None:
    rule(ASK, tool=tool, note="Money leaves the house.")
    rule(DENY, tool=tool, user=person, note="Not in your first week.")

    assert Policy(person).verdict(tool, {}).why == "Not in your first week."


def documented_rules() -> list[tuple[Decision, Any]]:
    section = DOCUMENT.read_text().split("## Limits on arguments")[1]
    rows = re.findall(r"^\| (allow|ask|deny) \| `(.*)` \|$", section, re.MULTILINE)
    return [(Decision(decision), json.loads(schema)) for decision, schema in rows]


@pytest.mark.parametrize(
    ("amount", "outcome"),
    [(0, ALLOW), (50, ALLOW), (50.01, ASK), (500, ASK), (500.01, DENY), (1e300, DENY)],
)
@pytest.mark.parametrize("default", ["annotations", "ask", "allow", "deny"])
def test_the_documented_refunds_are_allowed_up_to_50_asked_above_and_denied_above_500(
    person: User, tool: MCPTool, settings: Any, default: str, amount: float, outcome: Decision
) -> None:
    settings.AUTOMATE = {"APPROVAL_DEFAULT": default}
    for said, schema in documented_rules():
        rule(said, schema, tool=tool)

    assert decision(person, tool, amount=amount) == outcome
    assert shown(person) == {"refund"}


def test_where_the_default_allows_what_is_asked_is_said_too(
    person: User, tool: MCPTool, settings: Any
) -> None:
    settings.AUTOMATE = {"APPROVAL_DEFAULT": "allow"}
    rule(ASK, ABOVE_50, tool=tool)
    rule(DENY, ABOVE_500, tool=tool)

    amounts = [decision(person, tool, amount=amount) for amount in (50, 51, 501)]

    assert amounts == [ALLOW, ASK, DENY]


def test_a_limit_that_is_not_required_denies_what_is_left_out_or_of_another_type(
    person: User, tool: MCPTool
) -> None:
    rule(DENY, ABOVE_500, tool=tool)

    assert decision(person, tool) == decision(person, tool, amount="9999") == DENY


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"properties": {"amount": {"type": "number", "maximum": 50}}}, 'leave out "amount"'),
        ({"properties": {"amount": {"maximum": 50}}, "required": ["amount"]}, "which type"),
        ({"amount": {"maximum": 50}}, "“amount” is no keyword"),
        ({"properties": {"amount": {"type": "number", "max": 50}}, "required": []}, "“max”"),
        (
            {"properties": {"order": UP_TO_50 | {"type": "object", "required": []}}}
            | {"required": ["order"], "not": {"anyOf": [{"propertys": {}}]}},
            "“propertys”",
        ),
        ({"properties": {"amount": {"type": "nummer"}}}, "must name a type"),
        ({"$ref": "https://example.com/schema"}, "nothing is fetched"),
        ([1], "an object"),
        (False, "an object"),
    ],
)
def test_a_rule_that_would_allow_more_than_it_says_is_refused(
    tool: MCPTool, schema: Any, words: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        rule(ALLOW, schema, tool=tool)

    assert list(refused.value.message_dict) == ["argument_schema"]
    assert words in str(refused.value)


def test_a_rule_that_allows_may_say_that_an_argument_can_be_left_out(
    person: User, tool: MCPTool
) -> None:
    rule(ALLOW, {"properties": UP_TO_50["properties"], "required": []}, tool=tool)

    assert (decision(person, tool), decision(person, tool, amount=51)) == (ALLOW, ASK)


def test_an_empty_schema_is_none(tool: MCPTool) -> None:
    assert rule(DENY, {}, tool=tool).argument_schema is None


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"text": {"pattern": "DROP"}}},  # too long a text to be looked through
        {"properties": {"text": {"pattern": "(a+)+b"}}},
        {"$ref": "#/nowhere"},
        {"type": "array"},
        False,
        "text",
    ],
)
def test_what_cannot_be_held_against_a_call_denies_and_never_allows(
    person: User, tool: MCPTool, schema: Any
) -> None:
    text = "a" * 600_000
    denies = ToolRule.objects.create(decision=DENY, argument_schema=schema, tool=tool)
    assert decision(person, tool, text=text) == DENY

    ToolRule.objects.filter(pk=denies.pk).update(decision=ALLOW)
    assert decision(person, tool, text=text) == ASK


def test_a_rule_is_for_a_server_or_a_tool_and_for_a_group_or_a_person(
    person: User, tool: MCPTool
) -> None:
    group = Group.objects.create(name="clerks")

    with pytest.raises(ValidationError) as refused:
        rule(ASK, tool=tool, server=tool.server, user=person, group=group)

    assert set(refused.value.message_dict) == {"tool", "user"}


def test_only_these_shuts_out_everybody_whom_no_such_rule_names(person: User) -> None:
    tool, other = add_tool(effect="read_only"), add_tool("search", effect="read_only")
    clerks, managers = Group.objects.create(name="Clerks"), Group.objects.create(name="Managers")
    for group in (clerks, managers):
        rule(Decision.ONLY, tool=tool, group=group, note="Clerks and managers.")

    assert (decision(person, tool), shown(person)) == (DENY, {"search"})
    assert Policy(person).verdict(tool, {}).why == "Clerks and managers."
    person.groups.add(managers)
    assert (decision(person, tool), decision(person, other)) == (ALLOW, ALLOW)


def test_only_these_may_name_a_person_and_lets_nobody_through_by_itself(person: User) -> None:
    tool = add_tool()
    rule(Decision.ONLY, tool=tool, user=person)
    stranger = User.objects.create_user("stranger")

    assert (decision(person, tool), decision(stranger, tool)) == (ASK, DENY)
    rule(Decision.DENY, tool=tool)
    assert decision(person, tool) == DENY


def test_only_these_of_a_server_and_of_its_tool_must_both_hold(person: User) -> None:
    tool = add_tool(effect="read_only")
    staff, clerks = Group.objects.create(name="Staff"), Group.objects.create(name="Clerks")
    rule(Decision.ONLY, server=tool.server, group=staff)
    rule(Decision.ONLY, tool=tool, group=clerks)

    person.groups.add(clerks)
    assert decision(person, tool) == DENY
    person.groups.add(staff)
    assert decision(person, tool) == ALLOW


def test_only_these_may_be_for_certain_arguments(person: User) -> None:
    tool = add_tool(effect="read_only")
    rule(Decision.ONLY, ABOVE_50, tool=tool, group=Group.objects.create(name="Managers"))

    assert [decision(person, tool, amount=amount) for amount in (50, 51)] == [ALLOW, DENY]
    assert shown(person) == {"refund"}


def test_only_these_must_name_somebody() -> None:
    with pytest.raises(ValidationError, match="Choose the group or the person who may"):
        rule(Decision.ONLY, tool=add_tool())


def test_what_the_operator_says_destroys_asks_where_all_else_is_allowed(
    settings: Any, person: User
) -> None:
    settings.AUTOMATE = {"APPROVAL_DEFAULT": "allow"}
    destroys, says = add_tool(effect="destructive"), {"destructiveHint": True}

    assert decision(person, destroys) == ASK
    assert decision(person, add_tool("other", annotations=says)) == ALLOW
